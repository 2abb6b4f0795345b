#include <polyphony/job/arguments.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>

namespace polyphony::job {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Arguments parse(const std::vector<std::string>& words) { return parse_arguments(words, "app.py"); }

std::string error_of(const std::vector<std::string>& words) {
  try {
    parse(words);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Arguments, ReadsFlagsInAllForms) {
  EXPECT_TRUE(parse({"-m", "a=1"}).multirun);
  EXPECT_TRUE(parse({"a=1", "--multirun"}).multirun);
  EXPECT_TRUE(parse({"--multi"}).multirun) << "an unambiguous beginning";
  EXPECT_EQ(parse({"-c", "job"}).cfg, "job");
  EXPECT_EQ(parse({"-cjob"}).cfg, "job");
  EXPECT_EQ(parse({"--cfg=all"}).cfg, "all");
  EXPECT_EQ(parse({"-cp", "dir", "-cn", "name", "-cd=more"}).config_dir, "more");
  EXPECT_EQ(parse({"-cp=dir"}).config_path, "dir");
  EXPECT_TRUE(parse({"-mr"}).run) << "letters joined";
  EXPECT_TRUE(parse({"-sc", "install=bash"}).shell_completion);
  EXPECT_EQ(parse({"--info"}).info, "all");
  EXPECT_EQ(parse({"-i", "config", "a=1"}).info, "config");
  EXPECT_EQ(parse({"--experimental-rerun", "x/config.pickle"}).rerun, "x/config.pickle");
  EXPECT_TRUE(parse({"--version"}).version);
  EXPECT_TRUE(parse({"--ver"}).version) << "our own flag takes no short form away";
  EXPECT_EQ(parse({"--version-base", "1.1"}).version_base, "1.1");
}

TEST(Arguments, ReadsOverrides) {
  EXPECT_THAT(parse({"a=1", "+b=2", "~c", "-m"}).overrides, ElementsAre("a=1", "+b=2", "~c"));
  EXPECT_THAT(parse({"-m", "--", "-a=1"}).overrides, ElementsAre("-a=1"));
  EXPECT_THAT(parse({"-1"}).overrides, ElementsAre("-1")) << "a negative number is no flag";
  EXPECT_THAT(parse({"- a"}).overrides, ElementsAre("- a"));
  EXPECT_THAT(parse_arguments({"a=1", "-m", "b=2"}, "app.py", Overrides::kAnywhere).overrides,
              ElementsAre("a=1", "b=2"));
}

TEST(Arguments, SaysWhatIsWrong) {
  EXPECT_THAT(error_of({"--nope"}), HasSubstr("app.py: error: unrecognized arguments: --nope"));
  EXPECT_THAT(error_of({"--multrun"}), HasSubstr("did you mean --multirun?"));
  EXPECT_THAT(error_of({"a=1", "-m", "b=2"}), HasSubstr("unrecognized arguments: b=2"));
  EXPECT_THAT(error_of({"--cfg"}), HasSubstr("argument --cfg/-c: expected one argument"));
  EXPECT_THAT(error_of({"--cfg", "-m"}), HasSubstr("argument --cfg/-c: expected one argument"));
  EXPECT_THAT(error_of({"-i", "a=1"}),
              HasSubstr("argument --info/-i: invalid choice: 'a=1' (choose "
                        "from 'all', 'config', 'defaults', "));
  EXPECT_THAT(error_of({"--config"}),
              HasSubstr("ambiguous option: --config could match --config-path, --config-name, "
                        "--config-dir"));
  EXPECT_THAT(error_of({"--multirun=1"}),
              HasSubstr("argument --multirun/-m: ignored explicit argument '1'"));
  EXPECT_THAT(error_of({"-mx"}), HasSubstr("ignored explicit argument 'x'"));
  EXPECT_THAT(error_of({"--nope"}), HasSubstr("usage: app.py [--help]"));
}

}  // namespace
}  // namespace polyphony::job
