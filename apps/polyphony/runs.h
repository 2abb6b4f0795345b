#pragma once

namespace CLI {
class App;
}

namespace polyphony::app {

/// `polyphony runs [list]`, `runs show ID`, `runs compare ID ID...`: what the run store holds.
void add_runs_commands(CLI::App& app);

}  // namespace polyphony::app
