#include <polyphony/train/devices.h>

#include <charconv>

#include <fmt/format.h>

namespace polyphony::train {
namespace {

using config::Node;

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

}  // namespace polyphony::train
