#pragma once

namespace CLI {
class App;
}

namespace polyphony::app {

/// `polyphony hub fetch NAME` and `polyphony hub list`.
void add_hub_commands(CLI::App& app);

}  // namespace polyphony::app
