// The processes of the original stack: the words on the command line, and what the program printed,
// wrote and returned. Tracebacks and ANTLR's wording are not reproduced: of an error, the exit code
// and the facts count (see `facts_of`). Where our text has other words than the original's,
// own_words.json lists, case by case, the facts that it must still hold: place, key, value, remedy.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <regex>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "process.h"
#include "scratch.h"

namespace polyphony::job {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

fs::path golden_dir() {
  const char* replaced = std::getenv("POLYPHONY_GOLDEN_DIR");
  return fs::path(replaced ? std::string(replaced) : POLYPHONY_TEST_DIR "/golden") / "config";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The golden placeholders in place of this run's folders and times.
std::string generic(std::string text, const fs::path& config_dir, const fs::path& cwd) {
  text = replaced(std::move(text), config_dir.string(), "<CONFIG_DIR>");
  text = replaced(std::move(text), cwd.string(), "<CWD>");
  text = std::regex_replace(text, std::regex(R"(\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d)"), "<DATE>/<TIME>");
  return std::regex_replace(text, std::regex(R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+)"),
                            "<DATE> <TIME>");
}

/// JSON as nlohmann writes it; a table's padding, which follows from the length of folders, off.
std::string comparable(const std::string& text) {
  std::string out;
  for (const std::string& line : lines_of(text)) {
    if (line.starts_with('{')) {
      out += Json::parse(line).dump() + "\n";
    } else if (line.starts_with('|')) {
      out += std::regex_replace(line, std::regex(" +"), " ") + "\n";
    } else {
      out += std::regex_replace(line, std::regex("---+"), "---") + "\n";
    }
  }
  return out;
}

std::string without_space(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (!std::isspace(static_cast<unsigned char>(c))) out += c;
  }
  return out;
}

/// Lines of a golden error that say nothing of the case: where Python stood, how ANTLR failed,
/// Python types, links.
bool is_noise(const std::string& line) {
  static const std::regex kNoise(
      R"(\s*|Traceback.*|\s+File .*|.*\^\^.*|.*Set the environment variable.*|See https://.*)"
      R"(|\s+(object|reference)_type=.*|\s*full_key:\s*|no viable alternative.*|mismatched input.*)"
      R"(|missing EQUAL.*|while (parsing|constructing|scanning).*|HydraException while evaluating.*)"
      R"(|found character.*|expected .*|mapping values.*|.*UserWarning:\s*|\s+ret = run_job\()"
      R"(|\s+@hydra.main.*|Error merging override .*)");
  return std::regex_match(line, kNoise);
}

/// The facts that a golden error text carries: what ours must hold, blanks aside.
std::vector<std::string> facts_of(const std::string& text) {
  std::vector<std::string> lines = lines_of(text);
  if (text.find("Traceback") != std::string::npos || text.starts_with("usage:")) {
    // The last exception, from the line that begins at the margin.
    std::size_t last = 0;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      static const std::regex kRaised(R"([\w.]*(Error|Exception): .*|app\.py: error: .*)");
      if (std::regex_match(lines[i], kRaised)) last = i;
    }
    lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(last));
  }
  std::vector<std::string> facts;
  for (std::string line : lines) {
    std::smatch match;
    if (std::regex_match(line, match, std::regex(R"re(\s+in "(.*)", line (\d+), column \d+)re"))) {
      facts.push_back(match[1].str() + ":" + match[2].str());
      continue;
    }
    if (is_noise(line)) continue;
    line = std::regex_replace(line, std::regex(R"(^\s*full_key: )"), "");
    line = std::regex_replace(line, std::regex(R"(^.*UserWarning: )"), "");
    line = std::regex_replace(line, std::regex(R"(^(\w+\.)*\w*(Error|Exception|Value): )"), "");
    line = std::regex_replace(line, std::regex(R"(^(\w+\.)*Unsupported\w+: )"), "");
    line = std::regex_replace(line, std::regex(R"(\w+ raised while (resolving|composing)[^:]*: ?)"),
                              "");
    facts.push_back(line);
  }
  return facts;
}

std::vector<std::string> wanted_facts(const Json& item) {
  static const Json kOwnWords =
      Json::parse(std::ifstream(POLYPHONY_TEST_DIR "/job/own_words.json"));
  const std::string id = item["id"];
  if (kOwnWords.contains(id)) return kOwnWords[id].get<std::vector<std::string>>();
  return facts_of(item["expect"]["stderr"]);
}

std::string golden_version(const Json& item) {
  return item["version_base"].is_string() ? item["version_base"].get<std::string>() : "null";
}

Program program_of(const Json& item, const fs::path& config_dir, const fs::path& cwd) {
  Program program;
  program.command = {
      POLYPHONY_JOB_APP, config_dir.string(),
      item["config_name"].is_string() ? item["config_name"].get<std::string>() : "config",
      golden_version(item)};
  for (const Json& word : item["argv"]) program.command.push_back(word);
  program.directory = cwd;
  for (const auto& [name, value] : item["env"].items()) program.environment[name] = value;
  return program;
}

std::string check_files(const Json& expect, const fs::path& cwd) {
  if (!expect.contains("files")) return "";
  std::set<std::string> found, wanted;
  for (const auto& entry : fs::recursive_directory_iterator(cwd)) {
    if (entry.is_regular_file()) {
      found.insert(generic(fs::relative(entry.path(), cwd).string(), "<none>", cwd));
    }
  }
  for (const Json& file : expect["files"]) wanted.insert(file);
  std::string difference;
  for (const std::string& file : wanted) {
    if (!found.contains(file)) difference += "no file " + file + "\n";
  }
  for (const std::string& file : found) {
    if (!wanted.contains(file)) difference += "superfluous file " + file + "\n";
  }
  for (const auto& entry : fs::recursive_directory_iterator(cwd)) {
    const std::string name = generic(fs::relative(entry.path(), cwd).string(), "<none>", cwd);
    for (const char* kind : {"overrides_yaml", "config_yaml"}) {
      if (!expect.contains(kind) || !expect[kind].contains(name)) continue;
      const std::string text = read_file(entry.path());
      if (text != expect[kind][name]) difference += name + " holds\n" + text;
    }
  }
  return difference;
}

std::string difference(const Json& item) {
  const fs::path config_dir = golden_dir() / item["config_dir"].get<std::string>();
  const fs::path cwd = scratch_directory() / replaced(item["id"], "/", "-");
  fs::remove_all(cwd);
  const Finished got = program_of(item, config_dir, cwd).run();
  const Json& expect = item["expect"];
  std::string out;
  if (got.exit_code != expect["exit"]) {
    out += "exit " + std::to_string(got.exit_code) + ", not " + expect["exit"].dump() + "\n";
  }
  const std::string printed = comparable(generic(got.out, config_dir, cwd));
  if (printed != comparable(expect["stdout"])) out += "printed\n" + printed;
  const std::string said = without_space(generic(got.err, config_dir, cwd));
  for (const std::string& fact : wanted_facts(item)) {
    if (said.find(without_space(fact)) == std::string::npos) out += "does not say: " + fact + "\n";
  }
  if (expect["stderr"] == "" && !got.err.empty()) out += "should say nothing\n";
  out += check_files(expect, cwd);
  if (!out.empty()) out += "--- said\n" + got.err;
  fs::remove_all(cwd);
  return out;
}

TEST(Golden, EveryProcessOfTheOriginalStack) {
  std::ifstream file(golden_dir() / "cli.jsonl");
  ASSERT_TRUE(file) << golden_dir();
  int passed = 0, total = 0;
  for (std::string line; std::getline(file, line); ++total) {
    const Json item = Json::parse(line);
    const std::string found = difference(item);
    passed += found.empty();
    EXPECT_TRUE(found.empty()) << found << item["id"] << " " << item["argv"];
  }
  std::cout << "cli.jsonl: " << passed << " of " << total << " pass\n";
  EXPECT_GT(total, 0);
}

}  // namespace
}  // namespace polyphony::job
