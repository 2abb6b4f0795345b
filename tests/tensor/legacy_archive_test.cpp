#include <polyphony/tensor/legacy_archive.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/tensor/archive.h>

#include "scratch.h"

namespace polyphony::tensor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kLegacy = POLYPHONY_TEST_DIR "/tensor/legacy/legacy.bin";

fs::path put(std::string_view bytes) {
  const fs::path path = scratch_directory() / "changed.bin";
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string complaint(std::string_view bytes) {
  try {
    load_archive(put(bytes));
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

TEST(LegacyArchive, HoldsWhatTorchSaveWroteBefore1_6) {
  const Value state = load_archive(kLegacy);
  const auto tensor = [&](const char* name) { return state.at(name).as_tensor(); };
  const at::Tensor weight = at::tensor({0.0F, 0.25F, 0.5F, 0.75F, 1.0F, 1.25F}).view({2, 3});
  EXPECT_TRUE(at::equal(tensor("weight"), weight));
  EXPECT_TRUE(at::equal(tensor("turned"), weight.t()));
  EXPECT_EQ(tensor("turned").data_ptr(), tensor("weight").data_ptr());
  EXPECT_TRUE(at::equal(tensor("part"), at::tensor({8.0F, 9.0F})));
  EXPECT_TRUE(at::equal(tensor("parameter"), at::tensor({1.5F, -2.5F})));
  EXPECT_EQ(tensor("half").scalar_type(), at::kHalf);
  EXPECT_TRUE(at::equal(tensor("half").to(at::kFloat), at::tensor({0.5F, 65504.0F})));
  EXPECT_TRUE(at::equal(tensor("ids"), at::arange(4, at::kLong).view({1, 4})));
  EXPECT_EQ(tensor("empty").sizes(), at::IntArrayRef({0, 3}));
}

TEST(LegacyArchive, EveryTruncationIsADataErrorNamingTheFile) {
  const std::string bytes = read_file(kLegacy);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(complaint(std::string_view(bytes).substr(0, size)), HasSubstr("changed.bin"))
        << size;
  }
}

TEST(LegacyArchive, AFlippedBitOfItsPicklesNeverEndsInAnythingElse) {
  const std::string bytes = read_file(kLegacy);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    try {
      load_archive(put(flipped));  // the format has no check sums
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("changed.bin")) << i;
    }
  }
}

TEST(LegacyArchive, CodeIsRefusedByName) {
  std::string bytes = read_file(kLegacy);
  const std::string known = "ctorch._utils\n_rebuild_tensor_v2\n";
  const std::size_t at = bytes.find(known);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, known.size(), "cos\nsystem\n");
  EXPECT_THAT(complaint(bytes), HasSubstr("wants to run 'os.system'"));
}

TEST(LegacyArchive, StorageOfAnotherLengthIsDamage) {
  std::string bytes = read_file(kLegacy);
  // The last storage is the largest key's; its length stands before its numbers.
  const std::string twelve("\x0c\0\0\0\0\0\0\0", 8);
  const std::size_t at = bytes.find(twelve);
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 11;
  EXPECT_THAT(complaint(bytes), HasSubstr("damaged"));
}

}  // namespace
}  // namespace polyphony::tensor
