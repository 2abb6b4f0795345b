#include "config.h"

#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/files.h>
#include <polyphony/config/compose/compose.h>
#include <polyphony/config/rename/migrate.h>
#include "compose.h"

namespace polyphony::app {
namespace {

namespace fs = std::filesystem;
using CallTensorPart = std::function<int(const pipeline::Request&)>;

/// A file of the tree: the tree's own path where that is one file.
fs::path place_of(const fs::path& tree, const std::string& file) {
  return fs::is_directory(tree) ? tree / file : tree;
}

void migrate(const fs::path& tree, bool in_place) {
  std::size_t changed = 0, files = 0, by_hand = 0;
  for (const config::Migration& file : config::migrate(config::read_tree(tree))) {
    ++files;
    const fs::path path = place_of(tree, file.path);
    if (file.changed()) {
      ++changed;
      if (in_place) {
        write_file(path, file.after);
        fmt::print("{}\n", path.string());
      } else {
        fmt::print("{}", config::unified_diff(file.path, file.before, file.after));
      }
    }
    for (const config::ByHand& note : file.by_hand) {
      ++by_hand;
      fmt::print(stderr, "{}:{}: {}\n", path.string(), note.line, note.text);
    }
  }
  fmt::print(stderr, "{} of {} files {}; {} places to look at by hand\n", changed, files,
             in_place ? "rewritten" : "would change", by_hand);
}

void add_migrate(CLI::App& config) {
  CLI::App* command = config.add_subcommand(
      "migrate", "rewrite old options of Lightning, TorchMetrics, Hydra and Transformers");
  auto path = std::make_shared<std::string>();
  auto in_place = std::make_shared<bool>(false);
  auto diff = std::make_shared<bool>(false);
  command->add_option("path", *path, "a configuration tree, or one file")->required();
  CLI::Option* write = command->add_flag("--in-place", *in_place, "rewrite the files");
  command->add_flag("--diff", *diff, "print a unified diff (the default)")->excludes(write);
  command->callback([path, in_place] { migrate(*path, *in_place); });
}

void add_schema(CLI::App& config, const CallTensorPart& call) {
  CLI::App* command = config.add_subcommand(
      "schema", "print JSON Schema: of one class, or of an experiment's configuration");
  auto name = std::make_shared<std::string>();
  command->add_option("class", *name, "a class; the whole configuration where absent");
  command->callback([name, call] {
    pipeline::Request request;
    request.verb = "schema";
    request.name = *name;
    if (const int code = call(request); code != 0) throw CLI::RuntimeError(code);
  });
}

void add_targets(CLI::App& config, const CallTensorPart& call) {
  CLI::App* command =
      config.add_subcommand("targets", "say what every _target_ of a configuration comes to here");
  auto arguments = std::make_shared<ComposeArguments>();
  arguments->config_name = "experiment";
  add_compose_options(*command, *arguments);
  command->callback([arguments, call] {
    pipeline::Request request;
    request.verb = "targets";
    request.config = config::compose(request_of(*arguments));
    if (const int code = call(request); code != 0) throw CLI::RuntimeError(code);
  });
}

}  // namespace

void add_config_commands(CLI::App& app, const CallTensorPart& call_tensor_part) {
  CLI::App* command =
      app.add_subcommand("config", "configuration trees: migrate old ones, schemas for editors");
  command->require_subcommand(1);
  add_migrate(*command);
  add_schema(*command, call_tensor_part);
  add_targets(*command, call_tensor_part);
}

}  // namespace polyphony::app
