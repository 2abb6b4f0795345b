#include <polyphony/job/dotenv.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include <polyphony/base/files.h>
#include "scratch.h"

namespace polyphony::job {
namespace {

struct Row {
  std::string text;
  std::vector<DotenvBinding> wanted;
};

DotenvBinding is(std::string key, std::optional<std::string> value, int line = 1) {
  return {std::move(key), std::move(value), line, false};
}
DotenvBinding bad(int line) { return {"", std::nullopt, line, true}; }

TEST(Dotenv, ReadsStatementsAsPythonDotenvDoes) {
  const std::vector<Row> rows{
      {"", {}},
      {"A=b", {is("A", "b")}},
      {"A=", {is("A", "")}},
      {"A", {is("A", std::nullopt)}},
      {" A = b ", {is("A", "b")}},
      {"export A=b", {is("A", "b")}},
      {"export   'A'=b", {is("A", "b")}},
      {"exported=1", {is("exported", "1")}},
      {"export", {is("export", std::nullopt)}},
      {"# A=b", {is("", std::nullopt)}},
      {"A=b#c", {is("A", "b#c")}},
      {"A=b #c", {is("A", "b")}},
      {"A=b\t# c", {is("A", "b")}},
      {"A=b  c  ", {is("A", "b  c")}},
      {"A=' b '", {is("A", " b ")}},
      {"A=\" b \" # note", {is("A", " b ")}},
      {"A=\"b#c\"", {is("A", "b#c")}},
      {"A=\"b\nc\"\nD=e", {is("A", "b\nc"), is("D", "e", 3)}},
      {"A='b\nc'", {is("A", "b\nc")}},
      {"A=\"b\\nc\\t\"", {is("A", "b\nc\t")}},
      {"A='b\\nc'", {is("A", "b\\nc")}},
      {"A=\"b\\\"c\"", {is("A", "b\"c")}},
      {"A='b\\'c'", {is("A", "b'c")}},
      {"A=\"b\\qc\"", {is("A", "b\\qc")}},
      {"A='b\\\\c'", {is("A", "b\\c")}},
      {"A='b\\'", {is("A", "b\\")}},
      {"A=안녕", {is("A", "안녕")}},
      {"A: b", {bad(1)}},
      {"A=\"b\nC=d", {bad(1), is("C", "d", 2)}},
      {"A='b' c\nD=e", {bad(1), is("D", "e", 2)}},
      {"=b\nC=d", {bad(1), is("C", "d", 2)}},
      {"''=b", {bad(1)}},
      {"A=b\r\nC=d\r\n", {is("A", "b"), is("C", "d", 2)}},
      {"A=b\rC=d", {is("A", "b"), is("C", "d", 2)}},
      {"A=\nB=c", {is("A", ""), is("B", "c", 2)}},
      {"A[%$=1", {is("A[%$", "1")}},
      {"A=b=c", {is("A", "b=c")}},
      {"\n\n", {is("", std::nullopt)}},
      {"A=b\n\nC=d", {is("A", "b"), is("C", "d", 2)}},
  };
  for (const Row& row : rows) EXPECT_EQ(parse_dotenv(row.text), row.wanted) << row.text;
}

Environment environment(std::map<std::string, std::string> values) {
  return [values](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}

std::string expanded(const std::string& text, const std::string& name,
                     DotenvPrecedence precedence = DotenvPrecedence::kEnvironment) {
  const auto env = environment({{"HOST", "env"}, {"EMPTY", ""}});
  for (const auto& [key, value] : expand_dotenv(parse_dotenv(text), env, precedence)) {
    if (key == name) return value.value_or("<none>");
  }
  return "<absent>";
}

TEST(Dotenv, ExpandsVariables) {
  EXPECT_EQ(expanded("A=${HOST}/x", "A"), "env/x");
  EXPECT_EQ(expanded("A=${NOPE}", "A"), "");
  EXPECT_EQ(expanded("A=${NOPE:-d e}", "A"), "d e");
  EXPECT_EQ(expanded("A=${NOPE:-}", "A"), "");
  EXPECT_EQ(expanded("A=${EMPTY:-d}", "A"), "") << "set, though empty";
  EXPECT_EQ(expanded("A=$HOST", "A"), "$HOST");
  EXPECT_EQ(expanded("A='${HOST}'", "A"), "env") << "also in single quotes";
  EXPECT_EQ(expanded("A=${HOST:x}", "A"), "${HOST:x}");
  EXPECT_EQ(expanded("A=${HOST", "A"), "${HOST");
  EXPECT_EQ(expanded("B=1\nA=${B}2", "A"), "12");
  EXPECT_EQ(expanded("A=${B}2\nB=1", "A"), "2") << "only what stands above";
  EXPECT_EQ(expanded("B\nA=x${B}", "A"), "x");
  EXPECT_EQ(expanded("A=1\nA=2", "A"), "2");
  EXPECT_EQ(expanded("B", "B"), "<none>");
}

TEST(Dotenv, PrecedenceDecidesInsideExpansionToo) {
  const std::string text = "HOST=file\nA=${HOST}";
  EXPECT_EQ(expanded(text, "A", DotenvPrecedence::kEnvironment), "env");
  EXPECT_EQ(expanded(text, "A", DotenvPrecedence::kFile), "file");
}

TEST(Dotenv, FindsTheNearestFileUpwards) {
  const std::filesystem::path scratch = scratch_directory() / "dotenv";
  std::filesystem::remove_all(scratch);
  std::filesystem::create_directories(scratch / "a/b/c");
  write_file(scratch / ".env", "X=1\n");
  write_file(scratch / "a/b/.env", "X=2\n");
  std::filesystem::create_directories(scratch / "a/b/c/.env");  // a folder is no file
  EXPECT_EQ(find_dotenv(scratch / "a/b/c"), scratch / "a/b/.env");
  EXPECT_EQ(find_dotenv(scratch / "a"), scratch / ".env");
}

TEST(Dotenv, LoadsWithoutOverwritingUnlessAsked) {
  const std::filesystem::path scratch = scratch_directory() / "dotenv";
  std::filesystem::remove_all(scratch);
  const std::filesystem::path file = scratch / ".env";
  write_file(file, "DOTENV_OLD=file\nDOTENV_NEW='n w'\nDOTENV_BARE\nbroken: x\n");
  setenv("DOTENV_OLD", "env", 1);
  unsetenv("DOTENV_NEW");
  const std::vector<std::string> warnings = load_dotenv(file, DotenvPrecedence::kEnvironment);
  EXPECT_STREQ(std::getenv("DOTENV_OLD"), "env");
  EXPECT_STREQ(std::getenv("DOTENV_NEW"), "n w");
  EXPECT_EQ(std::getenv("DOTENV_BARE"), nullptr);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find(".env:4: "), std::string::npos) << warnings[0];
  load_dotenv(file, DotenvPrecedence::kFile);
  EXPECT_STREQ(std::getenv("DOTENV_OLD"), "file");
}

}  // namespace
}  // namespace polyphony::job
