#include <polyphony/base/csv.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>

namespace polyphony {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string message_of(const std::string& text) {
  try {
    parse_csv(text, "in.csv");
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Csv, ReadsQuotedLineEndsCommasAndQuotes) {
  const CsvTable table = parse_csv("a,b\r\n\"x, \"\"y\"\"\nz\",1\r\n,2\r\n", "in.csv");
  EXPECT_THAT(table.header, ElementsAre("a", "b"));
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_THAT(table.rows[0], ElementsAre("x, \"y\"\nz", "1"));
  EXPECT_THAT(table.rows[1], ElementsAre("", "2"));
  EXPECT_THAT(table.lines, ElementsAre(2U, 4U));
}

TEST(Csv, SkipsByteOrderMarkAndNeedsNoLastLineEnd) {
  const CsvTable table = parse_csv(
      "\xEF\xBB\xBF"
      "a,b\n1,",
      "in.csv");
  EXPECT_THAT(table.header, ElementsAre("a", "b"));
  ASSERT_EQ(table.rows.size(), 1U);
  EXPECT_THAT(table.rows[0], ElementsAre("1", ""));
}

TEST(Csv, WritesWhatItReads) {
  CsvTable table;
  table.header = {"path", "text"};
  table.rows = {{"a.wav", "one, \"two\"\nthree"}, {"", "plain"}};
  const CsvTable again = parse_csv(to_csv(table), "again");
  EXPECT_EQ(again.header, table.header);
  EXPECT_EQ(again.rows, table.rows);
}

TEST(Csv, NamesTheLineOfARowOfAnotherLength) {
  EXPECT_THAT(message_of("a,b\n1,2\n1,2,3\n"), HasSubstr("in.csv:3: 3 cells"));
}

TEST(Csv, NamesTheLineOfAnOpenQuote) {
  EXPECT_THAT(message_of("a\n\"x\ny\n"), HasSubstr("in.csv:2: a quoted cell is never closed"));
}

TEST(Csv, RejectsTextAfterAClosingQuote) {
  EXPECT_THAT(message_of("a,b\n\"x\"y,1\n"), HasSubstr("in.csv:2: text after the closing quote"));
}

TEST(Csv, RejectsAnEmptyFile) {
  EXPECT_THAT(message_of(""), HasSubstr("in.csv: the table is empty"));
}

/// Rows that were taken, and how many were left out.
std::string appended(const std::string& text) {
  const AppendedCsv found = parse_appended_csv(text, "in.csv");
  std::string line;
  for (const std::string& name : found.table.header) line += name + ",";
  for (std::size_t i = 0; i < found.table.rows.size(); ++i) {
    line += " " + std::to_string(found.numbers[i]) + ":";
    for (const std::string& cell : found.table.rows[i]) line += cell + "|";
  }
  return line + " -" + std::to_string(found.left_out) + "@" + std::to_string(found.first_left_out);
}

TEST(AppendedCsv, TakesWholeRowsAndCountsTheTornEnd) {
  using namespace std::string_literals;
  EXPECT_EQ(appended("a,b\n1,2\n3,4\n"), "a,b, 0:1|2| 1:3|4| -0@0");
  EXPECT_EQ(appended("a,b\r\n1,2\r\n"), "a,b, 0:1|2| -0@0");
  // In the middle of a row, of a number, of a line end: whole is what its line end follows.
  EXPECT_EQ(appended("a,b\n1,2\n3"), "a,b, 0:1|2| -1@3");
  EXPECT_EQ(appended("a,b\n1,2\n3,4"), "a,b, 0:1|2| -1@3");
  EXPECT_EQ(appended("a,b\r\n1,2\r\n3,4\r"), "a,b, 0:1|2| -1@3");
  // What a power loss leaves.
  EXPECT_EQ(appended("a,b\n1,2\n3,\0\0\0\0"s), "a,b, 0:1|2| -1@3");
  EXPECT_EQ(appended("a,b\n1,2\n\0\0"s), "a,b, 0:1|2| -1@3");
  // A cell with a line end that is torn is one row.
  EXPECT_EQ(appended("a,b\n1,2\n3,\"x\ny"), "a,b, 0:1|2| -1@3");
  EXPECT_EQ(appended("a,b\n1,\"x\ny\"\n"), "a,b, 0:1|x\ny| -0@0");
  // Not even the header.
  EXPECT_EQ(appended(""), " -0@0");
  EXPECT_EQ(appended("a,"), " -1@1");
  EXPECT_EQ(appended("\0\0\0"s), " -1@1");
}

TEST(AppendedCsv, LeavesDamagedRowsOutAndKeepsThePlaceOfTheOthers) {
  using namespace std::string_literals;
  // A torn row that the next process wrote behind, one with NULs, one with a stray quote.
  EXPECT_EQ(appended("a,b\n1,2\n3,45,6\n7,8\n"), "a,b, 0:1|2| 2:7|8| -1@3");
  EXPECT_EQ(appended("a,b\n1,2\n\0\0,6\n7,8\n"s), "a,b, 0:1|2| 2:7|8| -1@3");
  EXPECT_EQ(appended("a,b\n1,\"2\n7,8\n9,0\n"), "a,b, 1:7|8| 2:9|0| -1@2");
  EXPECT_EQ(appended("a,b\n1,\"2\"x\n7,8\n"), "a,b, 1:7|8| -1@2");
  EXPECT_EQ(parse_appended_csv("a,b\n1\n7,8\n2", "x").note(),
            "2 torn or damaged rows are left out, the first in line 2");
}

}  // namespace
}  // namespace polyphony
