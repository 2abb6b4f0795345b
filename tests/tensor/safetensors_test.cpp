#include <polyphony/tensor/safetensors.h>

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

#include "scratch.h"

namespace polyphony::tensor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

fs::path place(const std::string& name) { return polyphony::scratch_directory() / name; }

TEST(Safetensors, GiveBackTypesShapesAndValues) {
  const TensorMap saved = {{"bool", at::tensor({1, 0}, at::kLong).to(at::kBool)},
                           {"empty", at::empty({0, 3})},
                           {"float", at::tensor({1.5F, -2.0F, 3.0F, 4.0F}).view({2, 2})},
                           {"int", at::tensor({1, -7, 1 << 30}, at::kLong)},
                           {"scalar", at::tensor({2.5F}).view({})}};
  save_safetensors(place("round.safetensors"), saved);
  const TensorMap loaded = load_safetensors(place("round.safetensors"));
  ASSERT_EQ(loaded.size(), saved.size());
  for (const auto& [name, tensor] : saved) {
    EXPECT_EQ(loaded.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(loaded.at(name).sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(at::equal(loaded.at(name), tensor)) << name;
  }
}

TEST(Safetensors, OneTensorIsReadAlone) {
  const at::Tensor second = at::tensor({5.0F, -6.5F, 7.25F});
  save_safetensors(place("two.safetensors"), {{"a", at::tensor({1, 2}, at::kLong)}, {"b", second}});
  const SafetensorsFile file(place("two.safetensors"));
  EXPECT_EQ(file.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(at::equal(file.read("b"), second));
  EXPECT_THROW(file.read("c"), std::out_of_range);
}

TEST(Safetensors, AViewIsSavedAsItIs) {
  const at::Tensor turned = at::tensor({1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}).view({2, 3}).t();
  save_safetensors(place("turned.safetensors"), {{"t", turned}});
  EXPECT_TRUE(at::equal(load_safetensors(place("turned.safetensors")).at("t"), turned));
}

TEST(Safetensors, EveryTruncationIsADataErrorNamingTheFile) {
  save_safetensors(place("whole.safetensors"), {{"w", at::tensor({1.0F, 2.0F})}});
  const std::string bytes = read_file(place("whole.safetensors"));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write_file(place("cut.safetensors"), std::string_view(bytes).substr(0, size));
    try {
      load_safetensors(place("cut.safetensors"));
      FAIL() << "no error at " << size << " bytes";
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("cut.safetensors"));
    }
  }
}

TEST(Safetensors, RejectsShapeBeyondItsData) {
  const std::string header =
      R"({"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  write_file(place("huge.safetensors"), bytes + header + std::string(8, '\0'));
  try {
    load_safetensors(place("huge.safetensors"));
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'w'"));
    EXPECT_THAT(error.what(), HasSubstr("shape"));
  }
}

}  // namespace
}  // namespace polyphony::tensor
