#include <polyphony/base/table.h>

#include <gtest/gtest.h>

#include <polyphony/base/terminal.h>

namespace polyphony {
namespace {

TEST(Table, AlignsNumbersRightAndTextLeft) {
  Table table({"name", "f1"});
  table.add_row({"a", "0.5"});
  table.add_row({"bcdef", "10"});
  EXPECT_EQ(table.to_text(), "name    f1\n-----  ---\na      0.5\nbcdef   10\n");
}

TEST(Table, CountsWideCharactersTwice) {
  Table table({"x", "y"});
  table.add_row({"한국", "a"});
  table.add_row({"abcd", "b"});
  EXPECT_EQ(table.to_text(), "x     y\n----  -\n한국  a\nabcd  b\n");
}

TEST(Table, EscapesBarsInMarkdown) {
  Table table({"x", "n"});
  table.add_row({"a|b", "1"});
  EXPECT_EQ(table.to_markdown(), "| x | n |\n| --- | ---: |\n| a\\|b | 1 |\n");
}

TEST(Clip, NeverCutsAWideCharacterInHalf) { EXPECT_EQ(clip("a한국", 4), "a한"); }

}  // namespace
}  // namespace polyphony
