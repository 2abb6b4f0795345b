#pragma once

#include <functional>

#include <polyphony/pipeline/entry.h>

namespace CLI {
class App;
}

namespace polyphony::app {

/// `polyphony config migrate | schema | targets`.
/// @param call_tensor_part  hands a request to the part that knows the classes
void add_config_commands(CLI::App& app,
                         const std::function<int(const pipeline::Request&)>& call_tensor_part);

}  // namespace polyphony::app
