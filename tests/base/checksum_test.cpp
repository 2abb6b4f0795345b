#include <polyphony/base/checksum.h>

#include <gtest/gtest.h>

namespace polyphony {
namespace {

TEST(Checksum, AreThoseOfTheirStandards) {
  EXPECT_EQ(crc32("123456789"), 0xCBF43926U);
  EXPECT_EQ(crc32("6789", crc32("12345")), crc32("123456789"));
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32("Weights & Biases") & 0xffff, 0xBEE1U);  // where W&B's magic comes from
}

}  // namespace
}  // namespace polyphony
