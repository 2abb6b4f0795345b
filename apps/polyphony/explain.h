#pragma once

#include <string>

#include <polyphony/config/compose/compose.h>
#include <polyphony/config/compose/provenance.h>

namespace CLI {
class App;
}

namespace polyphony::app {

/// `--explain [KEY]` of `polyphony compose`.
struct ExplainArguments {
  bool wanted = false;
  std::string key;  ///< "" for all
};

void add_explain_option(CLI::App& command, ExplainArguments& arguments);
/// `--explain lr=1` means all keys, with the override lr=1: hands the override back.
void take_explained_key(ExplainArguments& arguments, config::ComposeRequest& request);
/// Prints where values come from, as text, or as JSON for format "json".
/// @param hydra  what ${hydra:…} asks
void print_explanation(config::Composition composition, config::Node hydra,
                       const config::Provenance& provenance, const std::string& key,
                       const std::string& format);

}  // namespace polyphony::app
