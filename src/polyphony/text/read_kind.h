#pragma once

#include <algorithm>
#include <map>
#include <string>

#include <fmt/format.h>

#include <polyphony/text/json_reader.h>

namespace polyphony::text {

/// Builds what `type` names from a table of constructors.
/// @param what  the kind of part, for messages: "normalizer"
/// @throws DataError naming the place, the unknown type and all that are known
template <class Make>
auto read_kind(const JsonReader& json, const std::map<std::string, Make>& kinds, const char* what) {
  constexpr std::size_t kDeepest = 64;  // a file that nests deeper is made to break readers
  if (static_cast<std::size_t>(std::count(json.place().begin(), json.place().end(), '[')) >
      kDeepest)
    json.fail("nested too deep");
  const JsonReader type = json.at("type");
  const auto kind = kinds.find(type.string());
  if (kind == kinds.end()) {
    std::string names;
    for (const auto& [name, make] : kinds) names += (names.empty() ? "" : ", ") + name;
    type.fail(fmt::format("no {} `{}` here", what, type.string()), "there are " + names);
  }
  return kind->second(json);
}

}  // namespace polyphony::text
