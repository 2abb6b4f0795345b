// polyphony: parse the command line, call the verb, turn errors into exit codes.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/base/failure.h>
#include <polyphony/base/memory.h>
#include <polyphony/base/terminal/output.h>
#include <polyphony/job/app.h>
#include <polyphony/job/dotenv.h>
#include "board.h"
#include "completion.h"
#include "compose.h"
#include "config.h"
#include "experiment.h"
#include "media_verbs.h"
#include "parts.h"

namespace {

using Words = std::vector<std::string>;

std::string joined(const Words& words) {
  std::string line = "polyphony";
  for (const std::string& word : words) line += " " + word;
  return line;
}

/// The first line names this program, the others what it computes with.
void print_version() {
  fmt::print("polyphony {}\n", POLYPHONY_VERSION);
  polyphony::app::print_libtorch();
  throw CLI::Success();
}

void add_list(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "list", "print every class that a configuration can name, with its options");
  auto name = std::make_shared<std::string>();
  command->add_option("name", *name, "a class, or a kind such as Model; all where absent");
  command->callback([name] {
    if (const int code = polyphony::app::list_classes(*name); code != 0) {
      throw CLI::RuntimeError(code);
    }
  });
}

/// The verbs that are opened for their own commands alone, and for whatever tells of all commands.
const polyphony::app::MediaVerbs* media_verbs(const std::string& first) {
  for (const char* verb : {"board", "compose", "config", "list"}) {
    if (first == verb) return nullptr;
  }
  return polyphony::app::open_part<const polyphony::app::MediaVerbs*>(
      "libpolyphony_verbs.so", polyphony::app::kMediaVerbsSymbol);
}

/// Everything but the experiment verbs, whose words Hydra's rules read; they stand here for --help.
void add_commands(CLI::App& app, const std::string& first, const std::string& command_line) {
  const polyphony::app::MediaVerbs* media = media_verbs(first);
  app.require_subcommand(1);
  app.add_flag_callback("--version", print_version,
                        "print this program's version, LibTorch's and what it computes with");
  for (const polyphony::app::ExperimentVerb& verb : polyphony::app::experiment_verbs()) {
    app.add_subcommand(std::string(verb.name), std::string(verb.doc));
  }
  if (media != nullptr) media->add_resume(app, command_line);
  polyphony::app::add_compose_command(app);
  polyphony::app::add_config_commands(app, polyphony::app::call_tensor_part);
  if (media != nullptr) {
    media->add_data(app);
    media->add_hub(app);
    media->add_runs(app);
  }
  polyphony::app::add_board_command(app);
  if (media != nullptr) media->add_tokenize(app);
  add_list(app);
  const std::string completion =
      "install=SHELL or uninstall=SHELL: text to evaluate in bash, zsh or fish";
  app.add_flag("--shell-completion", completion);
}

int run(const Words& words) {
  for (const std::string& text : polyphony::job::load_nearest_dotenv()) {
    fmt::print(stderr, "warning: {}\n", text);
  }
  const std::string first = words.empty() ? "" : words[0];
  const Words rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (const auto* verb = polyphony::app::find_experiment_verb(first)) {
    polyphony::outlive_output();
    return polyphony::job::run_app(polyphony::app::experiment_app(*verb, joined(words)), rest);
  }
  CLI::App app("Polyphony: speech + text classification experiments from YAML", "polyphony");
  add_commands(app, first, joined(words));
  if (first == "--shell-completion" || first == "-sc") {
    polyphony::app::complete(app, rest);
    return 0;
  }
  try {
    Words arguments = polyphony::app::with_long_options(words);
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes the last first
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    const bool usage = code != 0 && dynamic_cast<const CLI::RuntimeError*>(&error) == nullptr;
    return usage ? static_cast<int>(polyphony::ExitCode::kUsage) : code;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  polyphony::keep_freed_memory();
  std::signal(SIGXFSZ,
              SIG_IGN);  // a file at its limit (ulimit -f) is an error of write(2), as a full disk
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    const polyphony::Failure failure = polyphony::failure_of(error);
    fmt::print(stderr, "polyphony: {}\n", failure.text);
    return failure.exit_code;
  }
}
