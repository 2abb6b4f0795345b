#include <polyphony/loggers/version.h>

namespace polyphony::loggers {

bool is_version(const config::Node& node) {
  return node.is_null() || node.is_string() ||
         (node.kind() == config::Node::Kind::kInt && node.as_int() >= 0);
}

std::optional<std::string> version_text(const config::Node& node) {
  if (node.is_null()) return std::nullopt;
  return node.is_string() ? node.as_string() : config::show(node);
}

}  // namespace polyphony::loggers
