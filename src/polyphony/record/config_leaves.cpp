#include <polyphony/record/config_leaves.h>

#include <polyphony/config/yaml/dump.h>

namespace polyphony::record {
namespace {

using config::Node;

void add_leaves(const Node& node, const std::string& path, std::vector<ConfigValue>& leaves) {
  const auto below = [&path](const std::string& key) {
    return path.empty() ? key : path + "." + key;
  };
  if (node.is_map() && !node.entries().empty()) {
    for (const auto& [key, value] : node.entries()) {
      add_leaves(value, below(key.is_string() ? key.as_string() : config::to_json(key)), leaves);
    }
  } else if (node.is_list() && !node.items().empty()) {
    for (std::size_t i = 0; i < node.items().size(); ++i) {
      add_leaves(node.items()[i], below(std::to_string(i)), leaves);
    }
  } else if (!path.empty()) {
    ConfigValue leaf{path, node.is_string() ? node.as_string() : config::to_json(node), {}};
    const bool numeric = node.kind() == Node::Kind::kInt || node.kind() == Node::Kind::kFloat;
    if (numeric && !node.is_big_int()) leaf.number = node.as_float();
    leaves.push_back(std::move(leaf));
  }
}

}  // namespace

std::vector<ConfigValue> config_leaves(const Node& config) {
  std::vector<ConfigValue> leaves;
  add_leaves(config, "", leaves);
  return leaves;
}

}  // namespace polyphony::record
