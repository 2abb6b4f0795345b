#pragma once

#include <string>

namespace CLI {
class App;
}

namespace polyphony::app {

/// `polyphony resume RUN`: an earlier run goes on as it was, in its own directory.
/// @param command_line  as typed, for the record
void add_resume_command(CLI::App& app, const std::string& command_line);

}  // namespace polyphony::app
