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

}  // namespace
}  // namespace polyphony
