#include <polyphony/base/assignment.h>

#include <array>
#include <cstdio>

#include <gmock/gmock.h>

namespace polyphony {
namespace {

/// What a shell makes of a word.
std::string in_shell(const std::string& word) {
  FILE* pipe = popen(("printf %s " + word).c_str(), "r");
  std::array<char, 4096> text{};
  const std::size_t size = std::fread(text.data(), 1, text.size(), pipe);
  pclose(pipe);
  return {text.data(), size};
}

TEST(Assignment, IsPlainWhereItCanBe) {
  EXPECT_EQ(assignment("ckpt_path", "/data/run-1/last.ckpt"), "ckpt_path=/data/run-1/last.ckpt");
}

TEST(Assignment, IsQuotedForTheShellAndForTheOverride) {
  EXPECT_EQ(assignment("ckpt_path", "/a b/epoch=3.ckpt"), "\"ckpt_path='/a b/epoch=3.ckpt'\"");
  EXPECT_EQ(in_shell(assignment("k", "a b=$HOME,`x`.\"ckpt\"")), "k='a b=$HOME,`x`.\"ckpt\"'");
  EXPECT_EQ(in_shell(assignment("k", "it's")), "k='it\\'s'");
}

}  // namespace
}  // namespace polyphony
