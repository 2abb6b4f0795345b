#include "compose.h"

#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/config/dump.h>
#include <polyphony/config/interpolate.h>
#include <polyphony/config/provenance.h>
#include "explain.h"

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
  for (std::string& text : request.overrides) {
    // The switch exists for every tree, whether its files name it or not.
    if (text.starts_with("compat.accept_renamed=")) text = "++" + text;
  }
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
  auto explained = std::make_shared<ExplainArguments>();
  add_explain_option(*command, *explained);
  command->callback([arguments, format, resolve, explained] {
    config::Provenance provenance;
    config::ComposeRequest request = request_of(*arguments);
    take_explained_key(*explained, request);
    request.observer = &provenance;
    const config::Composition composition = config::compose(request);
    for (const std::string& warning : composition.warnings)
      fmt::print(stderr, "warning: {}\n", warning);
    for (const std::string& warning : provenance.conflicts())
      fmt::print(stderr, "warning: {}\n", warning);
    if (explained->wanted) {
      print_explanation(composition, provenance, explained->key, *format);
      return;
    }
    config::ResolveContext context;
    context.hydra = composition.hydra;
    const config::Node node =
        *resolve ? config::resolve(composition.config, context) : composition.config;
    fmt::print("{}\n", *format == "json" ? config::to_json(node) : config::to_yaml(node));
  });
}

}  // namespace polyphony::app
