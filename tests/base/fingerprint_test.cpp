#include <polyphony/base/fingerprint.h>

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include "scratch.h"

namespace polyphony {
namespace {

/// The numbers are those of xxhsum 0.8 -H1.
TEST(Fingerprint, IsXxh64) {
  EXPECT_EQ(fingerprint("").digest, 0xEF46DB3751D8E999U);
  EXPECT_EQ(fingerprint("a").digest, 0xD24EC4F1A98C6E5BU);
  EXPECT_EQ(fingerprint("abc").digest, 0x44BC2CF5AD770999U);
  EXPECT_EQ(fingerprint("Nobody inspects the spammish repetition").digest, 0xFBCEA83C8A378BF1U);
}

TEST(Fingerprint, OfAFileIsThatOfItsBytes) {
  const std::filesystem::path path = scratch_directory() / "fingerprint";
  std::string bytes;
  for (unsigned i = 0; i < 3'000'017; ++i) bytes += static_cast<char>(i * 7919 >> 3);
  for (const std::size_t size : {0UL, 31UL, 32UL, 1UL << 20, (1UL << 20) + 1, bytes.size()}) {
    write_file(path, bytes.substr(0, size));
    EXPECT_EQ(file_fingerprint(path), fingerprint(bytes.substr(0, size))) << size;
  }
  const Fingerprint before = fingerprint(bytes);
  bytes[1'500'000] = static_cast<char>(bytes[1'500'000] ^ 1);
  EXPECT_NE(fingerprint(bytes), before);
  EXPECT_THROW(file_fingerprint(path.string() + "-none"), IoError);
}

}  // namespace
}  // namespace polyphony
