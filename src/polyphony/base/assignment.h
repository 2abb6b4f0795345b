#pragma once

#include <string>
#include <string_view>

namespace polyphony {

/// KEY=VALUE to be typed after `polyphony VERB`: quoted for the shell and for the grammar of
/// overrides where the value has characters that either takes for its own, e.g. the = of
/// epoch=3.ckpt.
std::string assignment(std::string_view key, std::string_view value);

/// A word to be typed in a shell, quoted where it has characters that the shell takes for its own.
std::string shell_word(std::string_view word);

}  // namespace polyphony
