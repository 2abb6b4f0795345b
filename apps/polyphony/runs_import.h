#pragma once

namespace CLI {
class App;
}

namespace polyphony::app {

/// `runs import PATH...`: records of other programs into the run store.
void add_runs_import(CLI::App& runs);

}  // namespace polyphony::app
