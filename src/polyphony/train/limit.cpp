#include <polyphony/train/limit.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace polyphony::train {

using config::Node;

std::int64_t Limit::of(std::int64_t all) const {
  if (share) return static_cast<std::int64_t>(static_cast<double>(all) * value);
  return std::min(all, static_cast<std::int64_t>(value));
}

bool read(const Node& node, Limit& limit) {
  if (node.kind() == Node::Kind::kInt) {
    limit = Limit::batches(node.as_int());
    return node.as_int() >= 0;
  }
  if (node.kind() != Node::Kind::kFloat) return false;
  limit = Limit::fraction(node.as_float());
  return limit.value >= 0 && limit.value <= 1;
}

std::string show(const Limit& limit) {
  return limit.share ? fmt::format("{:.2g}{}", limit.value,
                                   limit.value == std::floor(limit.value) ? ".0" : "")
                     : fmt::format("{}", static_cast<std::int64_t>(limit.value));
}

bool read(const Node& node, FlagOrCount& value) {
  if (node.kind() == Node::Kind::kBool) {
    value.count = node.as_bool() ? 1 : 0;
    return true;
  }
  if (node.kind() != Node::Kind::kInt || node.as_int() < 0) return false;
  value.count = node.as_int();
  return true;
}

std::string show(const FlagOrCount& value) {
  return value.count == 0 ? "false" : fmt::format("{}", value.count);
}

bool read(const config::Node& node, Deterministic& value) {
  using Mode = Deterministic::Mode;
  if (node.kind() == Node::Kind::kBool) {
    value.mode = node.as_bool() ? Mode::kOn : Mode::kOff;
    return true;
  }
  if (!node.is_string() || node.as_string() != "warn") return false;
  value.mode = Mode::kWarn;
  return true;
}

std::string show(const Deterministic& value) {
  if (value.mode == Deterministic::Mode::kWarn) return "warn";
  return value.mode == Deterministic::Mode::kOn ? "true" : "false";
}

namespace {

bool parse_number(const std::string& text, std::int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

/// "0,1" or "0, 1,".
bool parse_list(const std::string& text, std::vector<std::int64_t>& numbers) {
  std::string item;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] != ',') {
      if (text[i] != ' ') item += text[i];
      continue;
    }
    if (!item.empty() && !parse_number(item, numbers.emplace_back())) return false;
    item.clear();
  }
  return !numbers.empty();
}

}  // namespace

bool read(const Node& node, Devices& devices) {
  devices = {};
  if (node.is_null()) return true;
  if (node.is_string() && node.as_string() == "auto") return true;
  devices.automatic = false;
  if (node.kind() == Node::Kind::kInt) {
    devices.count = node.as_int();
    return devices.count >= -1 && devices.count != 0;
  }
  if (node.is_string() && parse_number(node.as_string(), devices.count)) {
    return devices.count >= -1 && devices.count != 0;
  }
  if (node.is_string()) {
    if (!parse_list(node.as_string(), devices.indices)) return false;
  } else {
    if (!node.is_list() || node.items().empty()) return false;
    for (const Node& item : node.items()) {
      if (item.kind() != Node::Kind::kInt || item.as_int() < 0) return false;
      devices.indices.push_back(item.as_int());
    }
  }
  devices.count = static_cast<std::int64_t>(devices.indices.size());
  return true;
}

std::string show(const Devices& devices) {
  if (devices.automatic) return "auto";
  if (devices.indices.empty()) return fmt::format("{}", devices.count);
  return fmt::format("[{}]", fmt::join(devices.indices, ", "));
}

bool read(const Node& node, Precision& precision) {
  const std::string text =
      node.kind() == Node::Kind::kInt ? fmt::format("{}", node.as_int()) : node.as_string();
  if (text == "32" || text == "32-true") {
    precision = Precision::k32;
  } else if (text == "bf16" || text == "bf16-mixed") {
    precision = Precision::kBf16;
  } else if (text == "16" || text == "16-mixed") {
    precision = Precision::k16;
  } else {
    return false;
  }
  return true;
}

std::string show(Precision precision) {
  static constexpr const char* kNames[] = {"32", "bf16", "16"};
  return kNames[static_cast<int>(precision)];
}

bool read(const Node& node, Duration& duration) {
  duration = {};
  static constexpr double kUnits[] = {86400, 3600, 60, 1};
  if (node.is_string()) {
    std::int64_t parts[4] = {};
    std::string text = node.as_string();
    for (int i = 0; i < 4; ++i) {
      const std::size_t colon = text.find(':');
      if ((colon == std::string::npos) != (i == 3)) return false;
      if (!parse_number(text.substr(0, colon), parts[i]) || parts[i] < 0) return false;
      duration.seconds += static_cast<double>(parts[i]) * kUnits[i];
      text = colon == std::string::npos ? "" : text.substr(colon + 1);
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
