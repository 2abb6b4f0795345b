#include <polyphony/tensor/pandas_frame.h>

#include <filesystem>
#include <fstream>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

#include "scratch.h"

namespace polyphony::tensor {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

/// Written by tests/tensor/frames/make.
fs::path given(const std::string& name) {
  return fs::path(POLYPHONY_TEST_DIR) / "tensor/frames" / (name + ".pkl");
}

PandasFrame read(const std::string& name) { return read_pandas_pickle(given(name)); }

std::string complaint(const fs::path& path) {
  try {
    read_pandas_pickle(path);
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), StartsWith(path.string() + ": "));
    EXPECT_FALSE(error.remedy().empty());
    return error.what();
  }
  return "no DataError";
}

using Row = std::vector<std::optional<std::string>>;
const Row kFirst = {"./K/wav/a.wav", "n/ 안녕.\n", "4"};
const Row kSecond = {"./K/wav/b.wav", std::nullopt, "0"};
const Row kThird = {"./K/wav/c.wav", "b/ ok, \"so\"", "6"};

TEST(PandasFrame, ReadsEveryProtocolAndLayout) {
  for (const char* name : {"protocol2", "protocol3", "protocol4", "protocol5", "pandas1.3",
                           "pandas1.0", "numpy2", "unit"}) {
    const PandasFrame frame = read(name);
    EXPECT_THAT(frame.columns, ElementsAre("total_path", "text", "emotion")) << name;
    EXPECT_THAT(frame.rows, ElementsAre(kFirst, kSecond, kThird)) << name;
  }
}

TEST(PandasFrame, RowsAreInTheTablesOrderWhateverTheIndexSays) {
  EXPECT_THAT(read("shuffled").rows, ElementsAre(kThird, kFirst, kSecond));
  EXPECT_THAT(read("dropped").rows, ElementsAre(kFirst, kThird));
  EXPECT_TRUE(read("empty").rows.empty());
  const PandasFrame reordered = read("reordered");
  EXPECT_THAT(reordered.columns, ElementsAre("emotion", "text", "total_path"));
  EXPECT_THAT(reordered.rows[0], ElementsAre("4", "n/ 안녕.\n", "./K/wav/a.wav"));
}

TEST(PandasFrame, IntegersWithHolesAndNumPysOwnAreIntegers) {
  const auto holes = read("holes").rows;
  EXPECT_EQ(holes[0][2], "4");
  EXPECT_EQ(holes[1][2], std::nullopt);
  const auto objects = read("objects").rows;
  EXPECT_EQ(objects[1][2], "0");
  EXPECT_EQ(objects[2][2], "6");
}

TEST(PandasFrame, RefusesAnythingElseByName) {
  EXPECT_THAT(complaint(given("float")), HasSubstr("column 'emotion', row 0: 0.5 is no integer"));
  EXPECT_THAT(complaint(given("bool")), HasSubstr("column 'emotion', row 0: a bool"));
  EXPECT_THAT(complaint(given("dates")), HasSubstr("a column of dates, categories"));
  EXPECT_THAT(complaint(given("category")), HasSubstr("(NDArrayBacked)"));
  EXPECT_THAT(complaint(given("list")), HasSubstr("column 'text', row 0: a container"));
  EXPECT_THAT(complaint(given("bytes")), HasSubstr("column 'text', row 0: 'bytes'"));
  EXPECT_THAT(complaint(given("series")), HasSubstr("Series"));
  EXPECT_THAT(complaint(given("code")), HasSubstr("builtins.eval"));
}

/// Without the care of write_file, which a thousand files would feel.
void put(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(PandasFrame, NoCutOrFlippedByteEscapesAsAnythingButAnErrorWithThePath) {
  const std::string bytes = read_file(given("protocol5"));
  const fs::path path = scratch_directory() / "damaged.pkl";
  for (std::size_t cut = 0; cut < bytes.size(); cut += 7) {
    put(path, std::string_view(bytes).substr(0, cut));
    complaint(path);
  }
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    put(path, flipped);
    try {
      read_pandas_pickle(path);  // a letter of a text may have changed
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), StartsWith(path.string() + ": "));
    }
  }
}

}  // namespace
}  // namespace polyphony::tensor
