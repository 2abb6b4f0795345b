#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace polyphony::app {

/// `polyphony --shell-completion install=SHELL | uninstall=SHELL | query=SHELL`.
/// @param words  behind the flag  @throws UsageError
void complete(const CLI::App& app, const std::vector<std::string>& words);

}  // namespace polyphony::app
