#include <polyphony/base/terminal/table.h>

#include <gtest/gtest.h>

#include <polyphony/base/terminal/terminal.h>

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

TEST(Table, LatexPrintsTexsOwnSigns) {
  Table table({"name", "test_acc"});
  table.add_row({"50% of {a}_b\\c~d^e & <f>", "0.5"});
  const std::string text = table.to_latex();
  EXPECT_NE(text.find("\\begin{tabular}{lr}\n\\toprule\nname & test\\_acc \\\\\n\\midrule\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("50\\% of \\{a\\}\\_b\\textbackslash{}c\\textasciitilde{}d"
                      "\\textasciicircum{}e \\& \\textless{}f\\textgreater{} & 0.5 \\\\"),
            std::string::npos)
      << text;
}

TEST(Table, CellsCannotMoveTheTerminalsCursor) {
  Table table({"name"});
  table.add_row({"\x1b[2Jgone\a"});
  EXPECT_EQ(table.to_text().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace polyphony
