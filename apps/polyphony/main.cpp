// polyphony: parse the command line, call the verb, turn errors into exit codes.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/config/compose.h>
#include <polyphony/pipeline/entry.h>
#include "compose.h"
#include "data.h"
#include "runs.h"

namespace {

using polyphony::pipeline::Request;

/// Opens the tensor part, which loads LibTorch, and hands the request over.
int call_tensor_part(const Request& request) {
  constexpr const char* kLibrary = "libpolyphony_tensor.so";  // found beside the program
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    throw polyphony::IoError(
        fmt::format("cannot load {}: {}", kLibrary, dlerror()),
        "build it: cmake --build --preset release; it lies beside the program");
  }
  const auto entry = reinterpret_cast<polyphony::pipeline::Entry>(
      dlsym(library, polyphony::pipeline::kEntrySymbol));
  if (entry == nullptr) {
    throw polyphony::IoError(fmt::format("{} is of another version", kLibrary), "build both anew");
  }
  return entry(request);
}

std::string joined(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) line += (i > 0 ? " " : "") + std::string(argv[i]);
  return line;
}

/// A verb that composes a configuration and needs LibTorch.
void add_experiment_verb(CLI::App& app, const char* verb, const char* doc, const char* default_name,
                         const std::string& command_line) {
  CLI::App* command = app.add_subcommand(verb, doc);
  auto arguments = std::make_shared<polyphony::app::ComposeArguments>();
  arguments->config_name = default_name;
  polyphony::app::add_compose_options(*command, *arguments);
  command->callback([arguments, verb, command_line] {
    Request request;
    request.verb = verb;
    request.command_line = command_line;
    request.config = polyphony::config::compose(polyphony::app::request_of(*arguments));
    if (const int code = call_tensor_part(request); code != 0) throw CLI::RuntimeError(code);
  });
}

void add_list(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "list", "print every class that a configuration can name, with its options");
  auto name = std::make_shared<std::string>();
  command->add_option("name", *name, "a class, or a kind such as Model; all where absent");
  command->callback([name] {
    Request request;
    request.verb = "list";
    request.name = *name;
    if (const int code = call_tensor_part(request); code != 0) throw CLI::RuntimeError(code);
  });
}

int run(int argc, char** argv) {
  CLI::App app("Polyphony: speech + text classification experiments from YAML", "polyphony");
  app.require_subcommand(1);
  app.set_version_flag("--version", POLYPHONY_VERSION);
  const std::string line = joined(argc, argv);
  add_experiment_verb(app, "run", "do what `mode` of the configuration says", "experiment", line);
  add_experiment_verb(app, "train", "train, then test the best checkpoint", "experiment", line);
  add_experiment_verb(app, "test", "metrics of a checkpoint on the test rows", "experiment", line);
  add_experiment_verb(app, "predict", "logits (.npy) and labels (.csv) of a checkpoint",
                      "experiment", line);
  add_experiment_verb(app, "vote", "soft voting of saved logits", "voting", line);
  polyphony::app::add_compose_command(app);
  polyphony::app::add_data_commands(app);
  polyphony::app::add_runs_commands(app);
  add_list(app);
  try {
    std::vector<std::string> arguments = polyphony::app::with_long_options(argc, argv);
    std::reverse(arguments.begin() + 1, arguments.end());  // CLI11 takes the last first
    arguments.erase(arguments.begin());
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
  try {
    return run(argc, argv);
  } catch (const polyphony::Error& error) {
    fmt::print(stderr, "polyphony: {}\n", error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "polyphony: unexpected: {}\n  please report this with the command line\n",
               error.what());
    return static_cast<int>(polyphony::ExitCode::kInternal);
  }
}
