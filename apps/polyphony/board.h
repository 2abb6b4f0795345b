#pragma once

namespace CLI {
class App;
}

namespace polyphony::app {

/// `polyphony board`: the web dashboard over the run store.
void add_board_command(CLI::App& app);

}  // namespace polyphony::app
