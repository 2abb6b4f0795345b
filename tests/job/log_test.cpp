#include <polyphony/job/log.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/yaml/yaml.h>
#include "scratch.h"

namespace polyphony::job {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

const std::string kRoot = "root: {level: INFO, handlers: [file]}\ndisable_existing_loggers: false";

config::Node yaml(const std::string& text) { return config::parse_yaml(text, "log.yaml"); }

/// A configuration with a file of this name, and more YAML behind it.
std::string file_config(const std::filesystem::path& file, const std::string& more) {
  return "formatters: {f: {format: '[%(asctime)s][%(name)s][%(levelname)-7s] %(message)s %%'}}\n"
         "handlers:\n"
         "  file: {class: logging.FileHandler, formatter: f, mode: w, filename: " +
         file.string() + "}\n" + more;
}

std::string error_of(const std::string& text) {
  Log log;
  try {
    log.configure(yaml(text), config::Node());
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Log, WritesAsTheFormatSays) {
  const auto file = scratch_directory() / "format.log";
  Log log;
  log.configure(yaml(file_config(file, kRoot)), false);
  log.info("a.b", "hello");
  log.write(Level::kDebug, "a.b", "unseen");
  EXPECT_THAT(
      read_file(file),
      MatchesRegex("\\[[0-9-]{10} [0-9:]{8},[0-9]{3}\\]\\[a\\.b\\]\\[INFO   \\] hello %\n"));
}

TEST(Log, FollowsLevelsOfNamedLoggersAndVerbose) {
  const auto file = scratch_directory() / "levels.log";
  const std::string config = file_config(
      file,
      "root: {level: ERROR, handlers: [file]}\nloggers: {a: {level: DEBUG}, q: {level: INFO, "
      "propagate: false}}\ndisable_existing_loggers: false");
  Log log;
  log.configure(yaml(config), yaml("[v]"));
  log.write(Level::kDebug, "a.b", "one");
  log.info("other", "two");
  log.write(Level::kDebug, "v", "three");
  log.info("q", "four");
  const std::string text = read_file(file);
  EXPECT_THAT(text, HasSubstr("one"));
  EXPECT_THAT(text, testing::Not(HasSubstr("two")));
  EXPECT_THAT(text, HasSubstr("three"));
  EXPECT_THAT(text, testing::Not(HasSubstr("four")));
}

TEST(Log, DisablesLoggersThatAreNotNamed) {
  Log log;
  log.configure(yaml("root: {level: ERROR}\ndisable_existing_loggers: true"), false);
  EXPECT_FALSE(log.enabled(Level::kError, "hydra"));
}

TEST(Log, KeepsWhatItHadWhereRootIsNull) {
  const auto file = scratch_directory() / "kept.log";
  Log log;
  log.configure(yaml(file_config(file, kRoot)), false);
  log.configure(yaml("root: null"), false);
  log.info("a", "still");
  EXPECT_THAT(read_file(file), HasSubstr("still"));
}

TEST(Log, NamesTheKeyThatIsWrong) {
  EXPECT_THAT(error_of("handlers: {h: {class: logging.Smoke}}\nroot: {}"),
              HasSubstr("handlers.h.class: no such log handler: 'logging.Smoke'"));
  EXPECT_THAT(error_of("root: {level: LOUD}"), HasSubstr("root.level: 'LOUD' is no logging level"));
  EXPECT_THAT(error_of("root: {handlers: [h]}"), HasSubstr("no handler is named 'h'"));
  EXPECT_THAT(error_of("handlers: {h: {class: logging.StreamHandler, formatter: f}}\nroot: {}"),
              HasSubstr("handlers.h.formatter: no formatter is named 'f'"));
}

}  // namespace
}  // namespace polyphony::job
