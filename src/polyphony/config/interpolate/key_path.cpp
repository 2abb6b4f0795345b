#include <polyphony/config/interpolate/key_path.h>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {

KeyPath split_key(std::string_view key) {
  KeyPath parts;
  std::size_t at = 0;
  while (at < key.size() && key[at] == '.') {
    parts.emplace_back();
    ++at;
  }
  const bool bracket_first = at < key.size() && key[at] == '[';
  if (!bracket_first) {
    const std::size_t end = std::min(key.find_first_of(".[", at), key.size());
    parts.emplace_back(key.substr(at, end - at));
    at = end;
  }
  while (at < key.size()) {
    const bool bracket = key[at] == '[';
    const std::size_t begin = at + 1;
    std::size_t end =
        std::min(bracket ? key.find(']', begin) : key.find_first_of(".[", begin), key.size());
    parts.emplace_back(key.substr(begin, end - begin));
    if (bracket && end < key.size()) ++end;
    // what follows a bracket up to the next '.' or '[' names nothing
    at = bracket ? std::min(key.find_first_of(".[", end), key.size()) : end;
  }
  return parts;
}

std::string dotted(const KeyPath& path) { return fmt::format("{}", fmt::join(path, ".")); }

bool is_index(std::string_view part) { return python_int(part).has_value(); }

const Node* child_of(const Node& node, std::string_view part) {
  if (node.is_map()) return node.find(part);
  const std::optional<Node> index = python_int(part);
  if (!index || index->is_big_int() || index->as_int() < 0) return nullptr;
  const auto position = static_cast<std::size_t>(index->as_int());
  return position < node.items().size() ? &node.items()[position] : nullptr;
}

}  // namespace polyphony::config
