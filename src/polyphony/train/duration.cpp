#include <polyphony/train/duration.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include <fmt/format.h>

namespace polyphony::train {

using config::Node;

bool read(const Node& node, Duration& duration) {
  duration = {};
  static constexpr double kUnits[] = {86400, 3600, 60, 1};
  if (node.is_string()) {
    const std::string& text = node.as_string();
    const char* at = text.data();
    const char* const end = at + text.size();
    for (const double unit : kUnits) {
      std::int64_t part = 0;
      const auto [stop, error] = std::from_chars(at, end, part);
      const bool last = unit == 1;
      if (error != std::errc() || part < 0 || (last ? stop != end : stop == end || *stop != ':')) {
        return false;
      }
      duration.seconds += static_cast<double>(part) * unit;
      at = last ? stop : stop + 1;
    }
    return true;
  }
  if (!node.is_map()) return false;
  static constexpr std::pair<const char*, double> kNames[] = {
      {"weeks", 604800}, {"days", 86400}, {"hours", 3600}, {"minutes", 60}, {"seconds", 1}};
  for (const auto& [key, value] : node.entries()) {
    const auto* unit = std::find_if(std::begin(kNames), std::end(kNames),
                                    [&k = key](const auto& u) { return k.as_string() == u.first; });
    const bool number = value.kind() == Node::Kind::kInt || value.kind() == Node::Kind::kFloat;
    if (unit == std::end(kNames) || !number) return false;
    duration.seconds += value.as_float() * unit->second;
  }
  return true;
}

std::string show(const Duration& duration) {
  const auto all = static_cast<std::int64_t>(duration.seconds);
  return fmt::format("{:02}:{:02}:{:02}:{:02}", all / 86400, all / 3600 % 24, all / 60 % 60,
                     all % 60);
}

}  // namespace polyphony::train
