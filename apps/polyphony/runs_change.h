#pragma once

namespace CLI {
class App;
}

namespace polyphony::app {

/// `runs tag` and `runs delete`.
void add_runs_changes(CLI::App& runs);

}  // namespace polyphony::app
