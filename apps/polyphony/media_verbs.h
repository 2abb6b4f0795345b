#pragma once

#include <string>

namespace CLI {
class App;
}

namespace polyphony::app {

/// The verbs of libpolyphony_verbs.so, which read recordings, texts, the hub and the record.
struct MediaVerbs {
  void (*add_resume)(CLI::App& app, const std::string& command_line);
  void (*add_data)(CLI::App& app);
  void (*add_hub)(CLI::App& app);
  void (*add_runs)(CLI::App& app);
  void (*add_tokenize)(CLI::App& app);
};

/// The symbol of the table in that library.
inline constexpr const char* kMediaVerbsSymbol = "polyphony_media_verbs";

}  // namespace polyphony::app
