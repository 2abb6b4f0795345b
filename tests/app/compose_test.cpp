// The built program on the golden compositions: what it prints, and its last line on an error.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "scratch.h"

namespace polyphony::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string golden_dir() {
  const char* replaced = std::getenv("POLYPHONY_GOLDEN_DIR");
  return (replaced ? std::string(replaced) : std::string(POLYPHONY_TEST_DIR) + "/golden") +
         "/config";
}

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Outcome {
  int code = -1;
  std::string out, err;
};

/// Runs `polyphony ARGUMENTS` with `env` as its whole environment.
Outcome run(const std::vector<std::string>& arguments, const Json& env) {
  const fs::path scratch = scratch_directory();
  const fs::path out = scratch / "out", err = scratch / "err";
  std::vector<std::string> words{POLYPHONY_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables{"HOME=/nowhere"};
  for (const auto& [name, value] : env.items())
    variables.push_back(name + "=" + value.get<std::string>());
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (std::string& text : texts) result.push_back(text.data());
    result.push_back(nullptr);
    return result;
  };
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kWrite = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), kWrite, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), kWrite, 0600);
  pid_t child = 0;
  Outcome outcome;
  const int failed = posix_spawn(&child, POLYPHONY_BINARY, &actions, nullptr,
                                 pointers(words).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return outcome;
  int status = 0;
  waitpid(child, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.out = contents(out);
  outcome.err = contents(err);
  return outcome;
}

Json last_line(const std::string& text) {
  const std::string trimmed = text.substr(0, text.find_last_not_of('\n') + 1);
  return Json::parse(trimmed.substr(trimmed.rfind('\n') + 1), nullptr, false);
}

std::vector<std::string> arguments_of(const Json& item) {
  std::vector<std::string> arguments{"compose", "--config-path",
                                     golden_dir() + "/" + item["config_dir"].get<std::string>()};
  if (item["config_name"].is_string()) {
    arguments.insert(arguments.end(), {"--config-name", item["config_name"]});
  }
  if (item["version_base"].is_string()) {
    arguments.insert(arguments.end(), {"--version-base", item["version_base"]});
  }
  arguments.insert(arguments.end(), {"--format", "json"});
  return arguments;
}

void check(const Json& item, const Outcome& outcome, const Json& wanted) {
  const std::string id = item["id"];
  const Json& expect = item["expect"];
  if (expect.contains("error")) {
    EXPECT_EQ(outcome.code, 1) << id;
    EXPECT_EQ(outcome.out, "") << id;
    const Json line = last_line(outcome.err);
    ASSERT_TRUE(line.is_object()) << id << outcome.err;
    EXPECT_EQ(line["error"], expect["error"]) << id;
    for (const char* field : {"message", "key", "file", "line"}) {
      EXPECT_TRUE(line.contains(field)) << id << field;
    }
    return;
  }
  EXPECT_EQ(outcome.code, 0) << id << outcome.err;
  const Json got = Json::parse(outcome.out, nullptr, false);
  EXPECT_EQ(got.dump(), wanted.dump()) << id;
}

TEST(ComposeCommand, PrintsWhatTheOriginalComposes) {
  std::ifstream file(golden_dir() + "/cases.jsonl");
  ASSERT_TRUE(file);
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    const Json item = Json::parse(line);
    if (item.contains("access") || item.contains("throw_on_missing")) continue;
    // The original's compose() has no run that ${hydra:...} could ask; the command acts as in one.
    if (item["expect"].value("message", "").find("HydraConfig was not set") != std::string::npos)
      continue;
    std::vector<std::string> arguments = arguments_of(item);
    arguments.emplace_back("--resolve");
    for (const Json& text : item["overrides"]) arguments.push_back(text);
    check(item, run(arguments, item["env"]), item["expect"].value("resolved", Json()));
    ++count;
  }
  std::cout << "cases.jsonl: " << count << " run\n";
  EXPECT_GT(count, 0);
}

TEST(ComposeCommand, PrintsTheJobsOfAMultirun) {
  std::ifstream file(golden_dir() + "/multirun.jsonl");
  ASSERT_TRUE(file);
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    const Json item = Json::parse(line);
    if (item.value("unordered", false)) continue;
    std::vector<std::string> arguments = arguments_of(item);
    arguments.emplace_back("--multirun");
    for (const Json& text : item["overrides"]) arguments.push_back(text);
    check(item, run(arguments, Json::object()), item["expect"].value("jobs", Json()));
    ++count;
  }
  std::cout << "multirun.jsonl: " << count << " run\n";
  EXPECT_GT(count, 0);
}

TEST(ComposeCommand, TakesHydrasShortOptions) {
  const std::string tree = golden_dir() + "/configs/groups";
  const Outcome outcome = run(
      {"compose", "-cp", tree, "-cn=two_groups", "--format", "json", "crop=mint"}, Json::object());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(Json::parse(outcome.out)["crop"]["name"], "mint");
}

TEST(ComposeCommand, WarnsOfAnOptionThatAnOptionalGroupSwallows) {
  const std::string tree = golden_dir() + "/configs/groups";
  const Outcome outcome =
      run({"compose", "-cp", tree, "-cn", "with_experiment", "--format", "json", "experiment=drv"},
          Json::object());
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.err.find("experiment=drv"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("nearest: dry"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("wet"), std::string::npos) << outcome.err;
}

TEST(ComposeCommand, NamesFileLineAndNearestKeyOfAnError) {
  const std::string tree = golden_dir() + "/configs/basic";
  const Outcome outcome =
      run({"compose", "-cp", tree, "-cn", "config", "--format", "json", "limits.hihg=3"},
          Json::object());
  EXPECT_EQ(outcome.code, 1);
  const Json line = last_line(outcome.err);
  EXPECT_EQ(line["key"], "limits.hihg");
  EXPECT_EQ(line["file"], "override limits.hihg=3");
  EXPECT_NE(line["message"].get<std::string>().find("did you mean 'limits.high'"),
            std::string::npos);
}

}  // namespace
}  // namespace polyphony::app
