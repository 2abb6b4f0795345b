#include "compose.h"

#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/config/dump.h>
#include <polyphony/config/interpolate.h>

namespace polyphony::app {

void add_compose_options(CLI::App& command, ComposeArguments& arguments) {
  command.add_option("--config-path,-p", arguments.config_path,
                     "directory of the configuration tree");
  command.add_option("--config-name,-n", arguments.config_name,
                     "primary configuration, without .yaml");
  command.add_option("--config-dir", arguments.config_dir, "one more directory to search");
  command.add_option("--version-base", arguments.version_base, "Hydra's defaults: 1.1 or 1.2");
  command.add_option("overrides", arguments.overrides, "KEY=VALUE, +KEY=VALUE, ~KEY, GROUP=OPTION");
}

config::ComposeRequest request_of(const ComposeArguments& arguments) {
  config::ComposeRequest request;
  request.config_dir = arguments.config_path;
  std::string name = arguments.config_name;
  if (name.ends_with(".yaml")) name.resize(name.size() - 5);
  request.config_name = name;
  request.overrides = arguments.overrides;
  if (!arguments.version_base.empty()) request.version_base = arguments.version_base;
  if (!arguments.config_dir.empty()) request.search_path.emplace_back(arguments.config_dir);
  return request;
}

void add_compose_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("compose", "print the composed configuration");
  auto arguments = std::make_shared<ComposeArguments>();
  arguments->config_name = "experiment";
  auto format = std::make_shared<std::string>("yaml");
  auto resolve = std::make_shared<bool>(false);
  add_compose_options(*command, *arguments);
  command->add_option("--format", *format, "yaml or json")->check(CLI::IsMember({"yaml", "json"}));
  command->add_flag("--resolve", *resolve, "replace every ${...} by its value");
  command->callback([arguments, format, resolve] {
    const config::Composition composition = config::compose(request_of(*arguments));
    for (const std::string& warning : composition.warnings)
      fmt::print(stderr, "warning: {}\n", warning);
    config::ResolveContext context;
    context.hydra = composition.hydra;
    const config::Node node =
        *resolve ? config::resolve(composition.config, context) : composition.config;
    fmt::print("{}\n", *format == "json" ? config::to_json(node) : config::to_yaml(node));
  });
}

}  // namespace polyphony::app
