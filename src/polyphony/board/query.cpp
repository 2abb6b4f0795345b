#include <polyphony/board/query.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::board {
namespace {

constexpr std::size_t kMostIds = 10'000;

[[noreturn]] void refuse(const std::string& name, const std::string& text, const char* wanted) {
  throw UsageError(fmt::format("{}=`{}`: expected {}", name, text, wanted));
}

std::int64_t parse_integer(const std::string& name, const std::string& text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) refuse(name, text, "an integer");
  return value;
}

}  // namespace

std::string Query::text(const std::string& name, const std::string& otherwise) const {
  const auto found = parameters_.find(name);
  return found == parameters_.end() ? otherwise : found->second;
}

std::int64_t Query::integer(const std::string& name, std::int64_t otherwise) const {
  const std::string value = text(name);
  return value.empty() ? otherwise : parse_integer(name, value);
}

std::int64_t Query::integer(const std::string& name) const {
  return parse_integer(name, text(name));
}

double Query::number(const std::string& name, double otherwise) const {
  const std::string value = text(name);
  if (value.empty()) return otherwise;
  char* end = nullptr;
  const double result = std::strtod(value.c_str(), &end);
  if (*end != '\0' || std::isnan(result)) refuse(name, value, "a number");
  return result;
}

std::vector<std::string> Query::texts(const std::string& name) const {
  std::vector<std::string> values;
  const auto [begin, end] = parameters_.equal_range(name);
  for (auto at = begin; at != end; ++at) values.push_back(at->second);
  return values;
}

std::vector<std::int64_t> Query::ids(const std::string& name) const {
  std::vector<std::int64_t> values;
  std::istringstream stream(text(name));
  for (std::string id; std::getline(stream, id, ',');) values.push_back(parse_integer(name, id));
  if (values.size() > kMostIds)
    refuse(name, fmt::format("{} ids", values.size()), "at most 10,000");
  return values;
}

}  // namespace polyphony::board
