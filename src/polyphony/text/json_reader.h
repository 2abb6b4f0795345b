#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace polyphony::text {

/// A JSON value with its place, so that every complaint names file and key.
/// All accessors throw DataError: `FILE: KEY.PATH: not a string`.
class JsonReader {
 public:
  JsonReader(const nlohmann::json& value, std::string place);

  /// Of a mapping. @throws DataError where the key is absent
  JsonReader at(const std::string& key) const;
  /// Of a mapping; nothing where the key is absent or null.
  std::optional<JsonReader> find(const std::string& key) const;
  /// Of a list.
  std::vector<JsonReader> items() const;
  JsonReader item(std::size_t index) const;
  /// Of a mapping: names and values, by name.
  std::vector<std::pair<std::string, JsonReader>> entries() const;
  std::size_t size() const;

  std::string string() const;
  bool boolean() const;
  double number() const;
  /// An integer from 0 to the greatest.
  std::uint32_t natural(std::uint32_t greatest = 0xFFFFFFFFU) const;
  /// A string of one code point.
  char32_t character() const;

  std::string string_or(const std::string& key, std::string fallback) const;
  bool boolean_or(const std::string& key, bool fallback) const;

  bool is_string() const;
  bool is_object() const;
  bool is_array() const;
  bool is_null() const;
  bool is_boolean() const;
  bool is_number() const;

  const nlohmann::json& value() const { return *value_; }
  const std::string& place() const { return place_; }
  [[noreturn]] void fail(std::string_view fact, const std::string& remedy = {}) const;

 private:
  const nlohmann::json* value_;
  std::string place_;
};

/// @throws DataError with place and byte where the text is no JSON
nlohmann::json parse_json(std::string_view text, const std::string& file);

}  // namespace polyphony::text
