#pragma once

#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/compose/compose.h>

namespace CLI {
class App;
}

namespace polyphony::app {

/// What every composing verb takes on its command line.
struct ComposeArguments {
  std::string config_path = "configs";
  std::string config_name;
  std::string config_dir;
  std::string version_base;
  std::vector<std::string> overrides;
};

/// The command line with Hydra's -cp, -cn and -cd, which are no short options, written out.
std::vector<std::string> with_long_options(std::vector<std::string> words);
void add_compose_options(CLI::App& command, ComposeArguments& arguments);
config::ComposeRequest request_of(const ComposeArguments& arguments);
/// Warnings of a composition, and options that an optional group swallowed, to stderr.
void print_warnings(const config::Composition& composition);

/// `polyphony compose`: prints the composed configuration.
void add_compose_command(CLI::App& app);

}  // namespace polyphony::app
