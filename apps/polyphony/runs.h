#pragma once

namespace CLI {
class App;
}

namespace polyphony::app {

/// `polyphony runs [list | show | compare | export | plot | tag | delete | import]`: what the run
/// store holds.
void add_runs_commands(CLI::App& app);

}  // namespace polyphony::app
