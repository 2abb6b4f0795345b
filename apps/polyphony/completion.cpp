#include "completion.h"

#include <algorithm>
#include <sstream>

#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/job/completion.h>
#include "experiment.h"

namespace polyphony::app {
namespace {

using Words = std::vector<std::string>;

/// Commands and options of a command that CLI11 parses.
Words words_of(const CLI::App& command) {
  Words words;
  for (const CLI::App* child : command.get_subcommands({})) words.push_back(child->get_name());
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  return words;
}

/// The command that the whole words name, and what of it begins with the last word.
Words candidates(const CLI::App& app, const std::string& line) {
  std::istringstream stream(line);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  std::string last;
  if (!words.empty() && line.back() != ' ') {
    last = words.back();
    words.pop_back();
  }
  if (!words.empty()) {
    if (const ExperimentVerb* verb = find_experiment_verb(words[0])) {
      const std::size_t rest = line.find(words[0]) + words[0].size();
      return job::completions(experiment_app(*verb, ""), line.substr(rest));
    }
  }
  const CLI::App* command = &app;
  for (const std::string& word : words) {
    if (word.starts_with('-')) continue;
    for (const CLI::App* child : command->get_subcommands({})) {
      if (child->get_name() == word) command = child;
    }
  }
  Words found = words_of(*command);
  if (words == Words{"resume"}) found.emplace_back("last");
  std::erase_if(found, [&](const std::string& word) {
    return !word.starts_with(last) || (last.empty() && word.starts_with('-'));
  });
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

void complete(const CLI::App& app, const std::vector<std::string>& words) {
  const bool query = words.size() == 1 && words[0].starts_with("query=");
  if (query) {
    job::print_candidates(words[0].substr(6), candidates(app, job::line_to_complete()));
    return;
  }
  job::App any;
  any.program = "polyphony";
  job::shell_completion(any, words);
}

}  // namespace polyphony::app
