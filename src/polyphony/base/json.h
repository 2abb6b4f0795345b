#pragma once

#include <string>

#include <nlohmann/json.hpp>

// Compiled once, in json.cpp: each file that instantiates nlohmann's parser takes 2 s longer.
extern template class nlohmann::basic_json<>;
extern template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace polyphony {

/// As nlohmann::json::parse.
/// @param allow_exceptions  throws nlohmann::json::parse_error where `text` is not JSON; otherwise
///                          what is returned `is_discarded()` then
nlohmann::json parse_json(const std::string& text, bool allow_exceptions = true);
/// The same, with the keys in the order of the text.
nlohmann::ordered_json parse_ordered_json(const std::string& text, bool allow_exceptions = true);

}  // namespace polyphony
