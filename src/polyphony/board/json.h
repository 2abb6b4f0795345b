#pragma once

#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include <fmt/format.h>

#include <polyphony/base/json.h>
#include <polyphony/record/run_index.h>

namespace polyphony::board {

using Json = nlohmann::ordered_json;

/// JSON has no NaN and no infinities: they become texts.
inline Json number_json(double value) {
  return std::isfinite(value) ? Json(value) : Json(fmt::format("{}", value));
}

inline Json field_json(const std::optional<record::FieldValue>& value) {
  if (!value) return {};
  const auto* number = std::get_if<double>(&*value);
  return number != nullptr ? number_json(*number) : Json(std::get<std::string>(*value));
}

/// Text that is no valid UTF-8 (names come from anywhere) is mended.
inline std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// "[1,2.5,null]": nine digits tell any two places of a screen apart; what is no number is null.
void append_array(std::string& out, std::span<const double> values);

}  // namespace polyphony::board
