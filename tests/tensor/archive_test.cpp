#include <polyphony/tensor/archive.h>

#include <cstdlib>
#include <fstream>

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <torch/version.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/tensor/pickle.h>
#include <polyphony/tensor/safetensors.h>
#include <polyphony/tensor/seed.h>

#include "scratch.h"

namespace polyphony::tensor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

fs::path place(const std::string& name) { return polyphony::scratch_directory() / name; }

Value sample() {
  Value list = Value::list();
  list.append(Value(std::int64_t{1} << 40));
  list.append(Value(std::string("zwei \xe2\x82\xac")));
  Value tuple = Value::tuple();
  tuple.append(Value(0.9));
  tuple.append(Value(true));
  Value dict = Value::dict();
  dict.set("none", Value());
  dict.set("negative", Value(std::int64_t{-3}));
  dict.set("list", list);
  dict.set("tuple", tuple);
  dict.set("weight", Value(at::tensor({1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}).view({2, 3}).t()));
  dict.set("step", Value(at::tensor({7}, at::kLong).view({})));
  dict.set("mask", Value(at::tensor({1, 0}, at::kLong).to(at::kBool)));
  dict.set("empty", Value(at::empty({0, 4})));
  return dict;
}

void expect_sample(const Value& loaded) {
  const Value saved = sample();
  EXPECT_EQ(loaded.at("none").kind(), saved.at("none").kind());
  EXPECT_EQ(loaded.at("negative").as_int(), -3);
  EXPECT_EQ(loaded.at("list").items().at(0).as_int(), std::int64_t{1} << 40);
  EXPECT_EQ(loaded.at("list").items().at(1).as_string(), "zwei \xe2\x82\xac");
  EXPECT_EQ(loaded.at("tuple").kind(), Value::Kind::kTuple);
  EXPECT_EQ(loaded.at("tuple").items().at(0).as_float(), 0.9);
  EXPECT_TRUE(loaded.at("tuple").items().at(1).as_bool());
  for (const char* name : {"weight", "step", "mask", "empty"}) {
    EXPECT_EQ(loaded.at(name).as_tensor().scalar_type(), saved.at(name).as_tensor().scalar_type());
    EXPECT_EQ(loaded.at(name).as_tensor().sizes(), saved.at(name).as_tensor().sizes());
    EXPECT_TRUE(at::equal(loaded.at(name).as_tensor(), saved.at(name).as_tensor())) << name;
  }
}

TEST(Archive, GivesBackWhatWasSaved) {
  save_archive(place("round.ckpt"), sample());
  expect_sample(load_archive(place("round.ckpt")));
}

// tests/tensor/archives holds what this test wrote with each LibTorch: checkpoints and the state of
// the random generator in them go from any one to any other.
TEST(Archive, OfEveryLibTorchIsRead) {
  seed_everything(7);
  at::rand({3});
  Value mine = sample();
  mine.set("generator", Value(generator_state()));
  save_archive(place(TORCH_VERSION ".ckpt"), mine);
  std::vector<fs::path> paths = {place(TORCH_VERSION ".ckpt")};
  for (const auto& entry : fs::directory_iterator(POLYPHONY_TEST_DIR "/tensor/archives")) {
    paths.push_back(entry.path());
  }
  ASSERT_GT(paths.size(), 1U);
  for (const fs::path& path : paths) {
    SCOPED_TRACE(path);
    const Value loaded = load_archive(path);
    expect_sample(loaded);
    EXPECT_TRUE(at::equal(loaded.at("generator").as_tensor(), generator_state()));
  }
}

TEST(Archive, MissingKeyAndWrongKindAreNamed) {
  const Value value = sample();
  try {
    value.at("state_dict");
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("state_dict"));
  }
  EXPECT_THROW(value.at("negative").as_string(), DataError);
}

TEST(Archive, EveryTruncationIsADataErrorNamingTheFile) {
  save_archive(place("whole.ckpt"), sample());
  const std::string bytes = read_file(place("whole.ckpt"));
  for (std::size_t size = 0; size < bytes.size(); size += 97) {
    write_file(place("cut.ckpt"), std::string_view(bytes).substr(0, size));
    try {
      load_archive(place("cut.ckpt"));
      FAIL() << "no error at " << size << " bytes of " << bytes.size();
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("cut.ckpt"));
    }
  }
}

/// Loads the file with one bit of each byte of [begin, end) flipped in turn.
/// @param harmless  whether a flip there may leave the contents as they were
void expect_flips_are_noticed(const std::string& whole, std::size_t begin, std::size_t end,
                              bool harmless) {
  const fs::path path = place("flipped.ckpt");
  for (std::size_t i = begin; i < end; ++i) {
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << (i % 8)));
    std::ofstream(path, std::ios::binary) << bytes;  // write_file waits for the disk each time
    try {
      const Value loaded = load_archive(path);
      ASSERT_TRUE(harmless) << "no error with byte " << i << " flipped";
      ASSERT_TRUE(at::equal(loaded.at("weight").as_tensor(), sample().at("weight").as_tensor()))
          << i;
      ASSERT_EQ(loaded.at("list").items().at(1).as_string(), "zwei \xe2\x82\xac") << i;
    } catch (const DataError& error) {
      ASSERT_THAT(error.what(), HasSubstr("flipped.ckpt")) << i;
    }
  }
}

TEST(Archive, AFlippedBitOfARecordIsADataErrorNamingTheFile) {
  save_archive(place("unflipped.ckpt"), sample());
  const std::string bytes = read_file(place("unflipped.ckpt"));
  std::vector<at::Tensor> storages;
  const std::string pickled = pickle(sample(), storages);
  const std::size_t pickle_at = bytes.find(pickled);
  ASSERT_NE(pickle_at, std::string::npos);
  expect_flips_are_noticed(bytes, pickle_at, pickle_at + pickled.size(), false);
  for (const at::Tensor& storage : storages) {
    if (storage.numel() < 6) continue;  // too short to be found by its bytes
    const std::string_view data(static_cast<const char*>(storage.data_ptr()), storage.nbytes());
    const std::size_t at = bytes.find(data);
    ASSERT_NE(at, std::string::npos);
    expect_flips_are_noticed(bytes, at, at + data.size(), false);
  }
  // Elsewhere are the zip's own fields, and padding.
  expect_flips_are_noticed(bytes, 0, bytes.size(), true);
}

TEST(Archive, ADamagedRecordIsNamed) {
  save_archive(place("unflipped.ckpt"), sample());
  std::string bytes = read_file(place("unflipped.ckpt"));
  const std::size_t at = bytes.find("negative");
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 'N';
  write_file(place("flipped.ckpt"), bytes);
  try {
    load_archive(place("flipped.ckpt"));
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("flipped.ckpt: the record 'data.pkl' is damaged"));
  }
}

TEST(Archive, MissingFileIsAnIoError) { EXPECT_THROW(load_archive(place("absent.ckpt")), IoError); }

TEST(Archive, ReadsWhatTorchSaveWrote) {
  const char* given = std::getenv("POLYPHONY_GOLDEN_DIR");
  const fs::path train =
      fs::path(given != nullptr ? given : POLYPHONY_TEST_DIR "/golden") / "train";
  if (!fs::exists(train / "head_nomask.pt") || !fs::exists(train / "head_nomask.safetensors")) {
    GTEST_SKIP() << "no head_nomask.pt in " << train << ": over 2 MB, so not in the repository; "
                 << "set POLYPHONY_GOLDEN_DIR";
  }
  const Value loaded = load_archive(train / "head_nomask.pt");
  const TensorMap expected = load_safetensors(train / "head_nomask.safetensors");
  ASSERT_FALSE(expected.empty());
  for (const auto& [name, tensor] : expected) {
    EXPECT_TRUE(at::equal(loaded.at("tensors").at(name).as_tensor(), tensor)) << name;
  }
}

TEST(Archive, TorchLoadReadsWhatWasSaved) {
  if (std::system("/usr/bin/python3 -c 'import torch' 2>/dev/null") != 0) {
    GTEST_SKIP() << "/usr/bin/python3 has no torch: install Debian's python3-torch";
  }
  save_archive(place("python.ckpt"), sample());
  const std::string code =
      "import torch; d = torch.load('" + place("python.ckpt").string() +
      "'); assert d['tuple'] == (0.9, True) and d['list'][0] == 2**40 and d['none'] is None;"
      "assert d['weight'].tolist() == [[1, 4], [2, 5], [3, 6]]";
  EXPECT_EQ(std::system(("/usr/bin/python3 -c \"" + code + "\"").c_str()), 0);
}

}  // namespace
}  // namespace polyphony::tensor
