#pragma once

namespace CLI {
class App;
}

namespace polyphony::app {

/// `polyphony data fillets` writes the manifest of the quickstart's corpus; `polyphony data check`
/// tells what a manifest holds. Both throw polyphony::Error.
void add_data_commands(CLI::App& app);

}  // namespace polyphony::app
