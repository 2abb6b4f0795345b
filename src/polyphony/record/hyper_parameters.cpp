#include <polyphony/record/hyper_parameters.h>

#include <polyphony/config/yaml/scalars.h>

namespace polyphony::record {
namespace {

void add_leaves(const config::Node& node, const std::string& path,
                std::vector<std::pair<std::string, config::Node>>& leaves) {
  if (!node.is_map() || node.entries().empty()) {
    if (!path.empty()) leaves.emplace_back(path, node);
    return;
  }
  for (const auto& [key, value] : node.entries()) {
    const std::string name = config::python_str(key);
    add_leaves(value, path.empty() ? name : path + "/" + name, leaves);
  }
}

}  // namespace

std::vector<std::pair<std::string, config::Node>> flat_hyper_parameters(
    const config::Node& values) {
  std::vector<std::pair<std::string, config::Node>> leaves;
  add_leaves(values, "", leaves);
  return leaves;
}

}  // namespace polyphony::record
