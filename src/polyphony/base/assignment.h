#pragma once

#include <string>
#include <string_view>

namespace polyphony {

/// KEY=VALUE to be typed after `polyphony VERB`: quoted for the shell and for the grammar of
/// overrides where the value has characters that either takes for its own, e.g. the = of
/// epoch=3.ckpt.
std::string assignment(std::string_view key, std::string_view value);

}  // namespace polyphony
