#include "compose.h"

#include <cstdio>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/config/compose/provenance.h>
#include <polyphony/config/compose/sweep.h>
#include <polyphony/config/interpolate/interpolate.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/errors.h>
#include "explain.h"

namespace polyphony::app {
namespace {

using config::Node;

struct Output {
  std::string format = "yaml";
  bool resolve = false;
  bool multirun = false;
  ExplainArguments explain;
};

/// The composition's hydra node as a run has it: with the paths that its ${hydra:...} ask for.
Node hydra_of_run(const config::Composition& composition) {
  Node hydra = composition.hydra;
  Node* runtime = hydra.find("runtime");
  const Node* output = runtime == nullptr ? nullptr : runtime->find("output_dir");
  if (output == nullptr || !output->is_missing()) return hydra;
  Node whole = composition.config;
  whole.set("hydra", hydra);
  try {
    if (const auto folder = config::select(whole, "hydra.run.dir")) {
      std::error_code ignored;
      const std::filesystem::path path = std::filesystem::absolute(folder->as_string(), ignored);
      runtime->set("output_dir", path.lexically_normal().string());
    }
  } catch (const config::ComposeError&) {
    // a run directory that cannot be named is only a fault of a run, or of a key that asks for it
  }
  return hydra;
}

void print(const Node& node, const Output& output) {
  const std::string text =
      output.format == "json" ? config::to_tagged_json(node) + "\n" : config::to_yaml(node);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void compose_one(const ComposeArguments& arguments, const Output& output) {
  config::ComposeRequest request = request_of(arguments);
  ExplainArguments explain = output.explain;
  take_explained_key(explain, request);
  config::Provenance provenance;
  request.observer = &provenance;
  const config::Composition composition = config::compose(request);
  print_warnings(composition);
  for (const std::string& text : provenance.conflicts()) fmt::print(stderr, "warning: {}\n", text);
  if (explain.wanted) {
    print_explanation(composition, hydra_of_run(composition), provenance, explain.key,
                      output.format);
    return;
  }
  config::ResolveContext context;
  context.warn = [](const std::string& text) { fmt::print(stderr, "warning: {}\n", text); };
  if (output.resolve) context.hydra = hydra_of_run(composition);
  print(output.resolve ? config::resolve(composition.config, context) : composition.config, output);
}

void compose_jobs(const ComposeArguments& arguments, const Output& output) {
  const config::SweepPlan plan = config::expand_sweep(request_of(arguments));
  print_warnings(plan.master);
  Node jobs = Node::list();
  for (const std::vector<std::string>& job : plan.jobs) {
    Node overrides = Node::list();
    for (const std::string& text : job) overrides.items().emplace_back(text);
    jobs.items().push_back(std::move(overrides));
  }
  print(jobs, output);
}

/// Without --config-name, a tree that has no file of the usual name is composed without a primary
/// one.
void name_primary(const CLI::App& command, ComposeArguments& arguments) {
  if (command.count("--config-name") > 0) return;
  const std::filesystem::path usual =
      std::filesystem::path(arguments.config_path) / (arguments.config_name + ".yaml");
  std::error_code ignored;
  if (!std::filesystem::exists(usual, ignored)) arguments.config_name.clear();
}

/// The last line of stderr for programs: what, which class of the original, where.
void print_error_line(const config::ComposeError& error) {
  Node line = Node::map();
  line.set("error", error.original_class());
  line.set("message", error.what());
  line.set("key", error.key().empty() ? Node() : Node(error.key()));
  line.set("file", error.file().empty() ? Node() : Node(error.file()));
  line.set("line", error.line() == 0 ? Node() : Node(error.line()));
  fmt::print(stderr, "{}\n", config::to_json(line));
}

}  // namespace

std::vector<std::string> with_long_options(std::vector<std::string> words) {
  for (std::string& argument : words) {
    for (const auto& [brief, full] :
         {std::pair("-cp", "--config-path"), {"-cn", "--config-name"}, {"-cd", "--config-dir"}}) {
      const std::string with_value = std::string(brief) + "=";
      if (argument == brief) argument = full;
      if (argument.starts_with(with_value)) argument.replace(0, with_value.size() - 1, full);
    }
  }
  return words;
}

void add_compose_options(CLI::App& command, ComposeArguments& arguments) {
  command.add_option("--config-path,-p,--cp", arguments.config_path,
                     "directory of the configuration tree");
  command.add_option("--config-name,-n,--cn", arguments.config_name,
                     "primary configuration, without .yaml; \"\" for none");
  command.add_option("--config-dir,--cd", arguments.config_dir, "one more directory to search");
  command.add_option("--version-base", arguments.version_base, "Hydra's defaults: 1.1 or 1.2");
  command.add_option("overrides", arguments.overrides, "KEY=VALUE, +KEY=VALUE, ~KEY, GROUP=OPTION");
}

config::ComposeRequest request_of(const ComposeArguments& arguments) {
  config::ComposeRequest request;
  request.config_dir = arguments.config_path;
  request.config_name = arguments.config_name == "null" ? "" : arguments.config_name;
  request.overrides = arguments.overrides;
  if (!arguments.version_base.empty() && arguments.version_base != "null") {
    request.version_base = arguments.version_base;
  }
  if (!arguments.config_dir.empty()) request.search_path.emplace_back(arguments.config_dir);
  return request;
}

void print_warnings(const config::Composition& composition) {
  for (const std::string& warning : composition.warnings) {
    fmt::print(stderr, "warning: {}\n", warning);
  }
  for (const std::string& typo : composition.hidden_typos) {
    fmt::print(stderr, "warning: {}\n", typo);
  }
}

void add_compose_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("compose", "print the composed configuration");
  auto arguments = std::make_shared<ComposeArguments>();
  arguments->config_name = "experiment";
  auto output = std::make_shared<Output>();
  add_compose_options(*command, *arguments);
  command->add_option("--format", output->format, "yaml or json")
      ->check(CLI::IsMember({"yaml", "json"}));
  command->add_flag("--resolve", output->resolve, "replace every ${...} by its value");
  command->add_flag("--multirun,-m", output->multirun, "print the overrides of each job");
  add_explain_option(*command, output->explain);
  command->callback([arguments, output, command] {
    name_primary(*command, *arguments);
    try {
      output->multirun ? compose_jobs(*arguments, *output) : compose_one(*arguments, *output);
    } catch (const config::ComposeError& error) {
      if (output->format != "json") throw;
      fmt::print(stderr, "polyphony: {}\n", error.what());
      print_error_line(error);
      throw CLI::RuntimeError(static_cast<int>(error.exit_code()));
    }
  });
}

}  // namespace polyphony::app
