#include <polyphony/tensor/pickle.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include <polyphony/base/error.h>

namespace polyphony::tensor {
namespace {

using namespace std::string_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Four floats, 0 to 3, for every storage.
at::Tensor storage(const StorageRef& ref) { return at::arange(4).to(ref.type); }

Value read(const std::string& bytes) { return unpickle(bytes, storage, "given.ckpt"); }

void expect_error(const std::string& bytes, const std::string& fact) {
  try {
    read(bytes);
    FAIL() << "no error, expected: " << fact;
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), AllOf(StartsWith("given.ckpt: "), HasSubstr(fact)));
    EXPECT_FALSE(error.remedy().empty());
  }
}

TEST(Pickle, AnObjectFilledAfterItWasMemoisedIsFullWhereverItIsNamed) {
  // Python's pickle.dumps([a, [a, a]], 2) of a = {'x': 1}
  const Value loaded =
      read("\x80\x02]q\x00(}q\x01X\x01\x00\x00\x00xq\x02K\x01s]q\x03(h\x01h\x01"s + "ee.");
  ASSERT_EQ(loaded.items().size(), 2U);
  EXPECT_EQ(loaded.items()[0].at("x").as_int(), 1);
  ASSERT_EQ(loaded.items()[1].items().size(), 2U);
  EXPECT_EQ(loaded.items()[1].items()[0].at("x").as_int(), 1);
  EXPECT_EQ(loaded.items()[1].items()[1].at("x").as_int(), 1);
  // a list named by its memo before it is filled: m = []; [m, m], m.append(7) last
  const Value late = read("\x80\x02](]q\x00h\x00K\x07"s + "ae.");
  ASSERT_EQ(late.items().size(), 2U);
  EXPECT_EQ(late.items()[0].items().at(0).as_int(), 7);
  EXPECT_EQ(late.items()[1].items().at(0).as_int(), 7);
}

/// Python's pickle of {'state_dict': d, 'also': d}, d an OrderedDict {'w': 1} with the attribute
/// _metadata that torch.nn.Module.state_dict() gives it.
void expect_state_dict(const std::string& bytes) {
  const Value loaded = read(bytes);
  for (const char* key : {"state_dict", "also"}) {
    ASSERT_EQ(loaded.at(key).entries().size(), 1U) << key;
    EXPECT_EQ(loaded.at(key).at("w").as_int(), 1) << key;
  }
}

TEST(Pickle, AStateDictWithMetadataIsItsEntries) {
  expect_state_dict(
      "\x80\x02}q\x00(X\n\x00\x00\x00state_dictq\x01"s + "ccollections\nOrderedDict\nq\x02"s +
      ")Rq\x03X\x01\x00\x00\x00wq\x04K\x01s}q\x05X\t\x00\x00\x00_metadataq\x06h\x02)Rq\x07("s +
      "X\x00\x00\x00\x00q\x08}q\tX\x07\x00\x00\x00versionq\nK\x01sX\x02\x00\x00\x00"s + "fcq\x0b"s +
      "}q\x0ch\nK\x02susbX\x04\x00\x00\x00"s + "alsoq\rh\x03u."s);
  expect_state_dict(
      "\x80\x04\x95x\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\nstate_dict\x94\x8c\x0b"s +
      "collections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94\x8c\x01w\x94K\x01s}\x94\x8c\t_metadata"s +
      "\x94h\x04)R\x94(\x8c\x00\x94}\x94\x8c\x07version\x94K\x01s\x8c\x02"s +
      "fc\x94}\x94h\x0cK\x02"s + "susb\x8c\x04"s + "also\x94h\x05u."s);
}

std::string tensor_pickle(const std::string& storage_class) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"s + storage_class +
         "\nX\x01\x00\x00\x00"s + "0X\x03\x00\x00\x00"s + "cpuK\x04tQK\x01K\x02\x85K\x01\x85"s +
         "\x89" + "ccollections\nOrderedDict\n)RtR";
}

TEST(Pickle, AParameterIsItsTensor) {
  const std::string tensor = tensor_pickle("FloatStorage");
  const Value loaded =
      read("\x80\x02"s + "ctorch._utils\n_rebuild_parameter\n(" + tensor + "\x88}tR.");
  EXPECT_TRUE(at::equal(loaded.as_tensor(), at::arange(1, 3).to(at::kFloat)));
}

TEST(Pickle, WhatIsNoRebuildingOfATensorIsADataError) {
  const std::string parameter = "\x80\x02"s + "ctorch._utils\n_rebuild_parameter\n";
  const std::string tensor = "\x80\x02"s + "ctorch._utils\n_rebuild_tensor_v2\n";
  expect_error(parameter + ")R.", "damaged at byte");
  expect_error(parameter + "K\x01R.", "damaged at byte");
  expect_error(parameter + "(K\x01tR.", "damaged at byte");
  expect_error(tensor + ")R.", "damaged at byte");
  expect_error(tensor + "(K\x01K\x01K\x01K\x01tR.", "damaged at byte");
  expect_error("\x80\x02(K\x01K\x01K\x01K\x01K\x01tQ."s, "damaged at byte");
  expect_error("\x80\x02NN\x93."s, "damaged at byte");
  expect_error(parameter + ".", "where data belongs");
}

TEST(Pickle, WhatDoesNotFitItsContainerIsADataError) {
  expect_error("\x80\x02}K\x01"s + "a.", "damaged at byte");
  expect_error("\x80\x02]K\x01K\x02s."s, "damaged at byte");
  expect_error("\x80\x02}(K\x01u."s, "damaged at byte");
  expect_error("\x80\x02K\x01(e."s, "damaged at byte");
  expect_error("\x80\x02(."s, "damaged at byte");
  expect_error("\x80\x02h\x01."s, "damaged at byte");
  expect_error("\x80\x02."s, "damaged at byte");
  expect_error(""s, "damaged at byte");
}

TEST(Pickle, CodeIsRefusedByName) {
  expect_error("\x80\x02"s + "cos\nsystem\n(X\x02\x00\x00\x00lstR."s, "os.system");
}

TEST(Pickle, NestingIsBounded) {
  const auto nested = [](std::size_t depth) {
    return "\x80\x02"s + std::string(depth + 1, ']') + std::string(depth, 'a') + ".";
  };
  Value value = read(nested(200));
  std::size_t depth = 0;
  for (const Value* at = &value; !at->items().empty(); at = &at->items()[0]) ++depth;
  EXPECT_EQ(depth, 200U);
  expect_error(nested(201), "nests deeper than 200 levels");
  expect_error(nested(1'000'000), "nests deeper than 200 levels");
  expect_error("\x80\x02]q\x00h\x00"s + "a.", "nests deeper than 200 levels");  // contains itself
}

TEST(Pickle, RepetitionIsBounded) {
  // a list of two of the list before, a hundred times over
  std::string bytes = "\x80\x02]q\x00"s;
  for (char i = 0; i < 100; ++i) {
    bytes += "](h"s + i + "h" + i + "eq" + static_cast<char>(i + 1);
  }
  expect_error(bytes + ".", "repeats the same objects too often");
}

TEST(Pickle, EveryTypeOfTensorHasItsStorageClass) {
  const std::vector<std::pair<at::ScalarType, std::string>> classes = {
      {at::kFloat, "FloatStorage"}, {at::kDouble, "DoubleStorage"},
      {at::kHalf, "HalfStorage"},   {at::kBFloat16, "BFloat16Storage"},
      {at::kLong, "LongStorage"},   {at::kInt, "IntStorage"},
      {at::kShort, "ShortStorage"}, {at::kChar, "CharStorage"},
      {at::kByte, "ByteStorage"},   {at::kBool, "BoolStorage"}};
  for (const auto& [type, name] : classes) {
    const at::Tensor tensor = at::arange(4).to(type);
    std::vector<at::Tensor> storages;
    const std::string bytes = pickle(Value(tensor), storages);
    EXPECT_THAT(bytes, HasSubstr("ctorch\n" + name + "\n"));
    const at::Tensor loaded = read(bytes).as_tensor();
    EXPECT_EQ(loaded.scalar_type(), type) << name;
    EXPECT_TRUE(at::equal(loaded, tensor)) << name;
  }
}

TEST(Pickle, ATypeWithoutAStorageClassIsADataError) {
  std::vector<at::Tensor> storages;
  try {
    pickle(Value(at::arange(4).to(at::kComplexFloat)), storages);
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("ComplexFloat"));
  }
}

}  // namespace
}  // namespace polyphony::tensor
