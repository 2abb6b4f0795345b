#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace polyphony {

std::string encode_base64(std::string_view bytes);
/// As Python's base64.b64decode: characters that are not of the alphabet are passed over.
/// @return nothing where the text is incomplete
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace polyphony
