#include <polyphony/text/json_reader.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/json.h>
#include <polyphony/base/utf8.h>

namespace polyphony::text {
namespace {
constexpr auto kWhole = "the file may be cut off or of another kind: fetch or save it again";
}  // namespace

JsonReader::JsonReader(const nlohmann::json& value, std::string place)
    : value_(&value), place_(std::move(place)) {}

void JsonReader::fail(std::string_view fact, const std::string& remedy) const {
  throw DataError(fmt::format("{}: {}", place_, fact), remedy.empty() ? kWhole : remedy);
}

JsonReader JsonReader::at(const std::string& key) const {
  if (!value_->is_object()) fail("not a mapping");
  const auto found = value_->find(key);
  if (found == value_->end()) fail(fmt::format("no `{}`", key));
  return {*found, place_ + (place_.find(": ") == std::string::npos ? ": " : ".") + key};
}

std::optional<JsonReader> JsonReader::find(const std::string& key) const {
  if (!value_->is_object()) fail("not a mapping");
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return at(key);
}

JsonReader JsonReader::item(std::size_t index) const {
  if (!value_->is_array()) fail("not a list");
  if (index >= value_->size()) fail(fmt::format("fewer than {} items", index + 1));
  return {(*value_)[index], fmt::format("{}[{}]", place_, index)};
}

std::vector<JsonReader> JsonReader::items() const {
  if (!value_->is_array()) fail("not a list");
  std::vector<JsonReader> all;
  for (std::size_t i = 0; i < value_->size(); ++i) all.push_back(item(i));
  return all;
}

std::vector<std::pair<std::string, JsonReader>> JsonReader::entries() const {
  if (!value_->is_object()) fail("not a mapping");
  std::vector<std::pair<std::string, JsonReader>> all;
  for (const auto& [key, value] : value_->items())
    all.emplace_back(key, JsonReader(value, place_ + "." + key));
  return all;
}

std::size_t JsonReader::size() const { return value_->size(); }

std::string JsonReader::string() const {
  if (!value_->is_string()) fail("not a string");
  return value_->get<std::string>();
}

bool JsonReader::boolean() const {
  if (!value_->is_boolean()) fail("neither true nor false");
  return value_->get<bool>();
}

double JsonReader::number() const {
  if (!value_->is_number()) fail("not a number");
  return value_->get<double>();
}

std::uint32_t JsonReader::natural(std::uint32_t greatest) const {
  // A document made by code has small numbers as signed ones.
  if (!value_->is_number_integer() || *value_ < 0 || value_->get<std::uint64_t>() > greatest)
    fail(fmt::format("not an integer from 0 to {}", greatest));
  return value_->get<std::uint32_t>();
}

char32_t JsonReader::character() const {
  const std::string text = string();
  if (count_points(text) != 1) fail("not one character");
  return point_at(text, 0).value;
}

std::string JsonReader::string_or(const std::string& key, std::string fallback) const {
  const auto found = find(key);
  return found ? found->string() : std::move(fallback);
}

bool JsonReader::boolean_or(const std::string& key, bool fallback) const {
  const auto found = find(key);
  return found ? found->boolean() : fallback;
}

bool JsonReader::is_string() const { return value_->is_string(); }
bool JsonReader::is_object() const { return value_->is_object(); }
bool JsonReader::is_array() const { return value_->is_array(); }
bool JsonReader::is_null() const { return value_->is_null(); }
bool JsonReader::is_boolean() const { return value_->is_boolean(); }
bool JsonReader::is_number() const { return value_->is_number(); }

nlohmann::json parse_json(std::string_view text, const std::string& file) {
  try {
    return polyphony::parse_json(std::string(text));
  } catch (const nlohmann::json::exception& error) {
    throw DataError(fmt::format("{}: not JSON: {}", file, error.what()), kWhole);
  }
}

}  // namespace polyphony::text
