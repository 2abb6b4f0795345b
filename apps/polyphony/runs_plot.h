#pragma once

namespace CLI {
class App;
}

namespace polyphony::app {

/// `runs plot METRIC [ID...]`: curves in the terminal.
void add_runs_plot(CLI::App& runs);

}  // namespace polyphony::app
