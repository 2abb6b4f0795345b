#include "explain.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace polyphony::app {

void add_explain_option(CLI::App& command, ExplainArguments& arguments) {
  command
      .add_option_function<std::string>(
          "--explain",
          [&arguments](const std::string& value) {
            arguments.wanted = true;
            arguments.key = value;
          },
          "say for every value, or those below KEY, which file and line or override set it and "
          "what it replaced")
      ->expected(0, 1)
      ->type_name("[KEY]");
}

void take_explained_key(ExplainArguments& arguments, config::ComposeRequest& request) {
  const bool is_override =
      arguments.key.find('=') != std::string::npos || arguments.key.starts_with("~");
  if (!is_override) return;
  request.overrides.insert(request.overrides.begin(), arguments.key);
  arguments.key.clear();
}

void print_explanation(config::Composition composition, config::Node hydra,
                       const config::Provenance& provenance, const std::string& key,
                       const std::string& format) {
  composition.hydra = std::move(hydra);
  const auto values = config::explain(composition, provenance, key);
  if (format == "json") {
    fmt::print("{}\n", config::explanation_json(values));
  } else {
    fmt::print("{}", config::explanation_text(values));
  }
}

}  // namespace polyphony::app
