#include <polyphony/config/registry.h>

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/nearest.h>

namespace polyphony::config {
namespace {

std::vector<RegisteredClass>& table() {
  static std::vector<RegisteredClass> classes;
  return classes;
}

std::string class_part(const std::string& dotted) { return dotted.substr(dotted.rfind('.') + 1); }

}  // namespace

void register_class(RegisteredClass entry) {
  for (const RegisteredClass& other : table()) {
    if (other.name == entry.name) throw std::logic_error("registered twice: " + entry.name);
  }
  table().push_back(std::move(entry));
}

const std::vector<RegisteredClass>& registered_classes() { return table(); }

const RegisteredClass& find_class(const Node& node, const std::string& kind,
                                  const std::string& path) {
  const std::string where = node.mark().text().empty() ? path : node.mark().text() + ": " + path;
  std::vector<std::string> names;
  std::vector<std::string> short_names;
  for (const RegisteredClass& entry : table()) {
    if (entry.kind == kind) {
      names.push_back(entry.name);
      short_names.push_back(class_part(entry.name));
    }
  }
  const std::string all = fmt::format("known: {}", fmt::join(names, ", "));
  const Node* target = node.is_map() ? node.find("_target_") : nullptr;
  if (target == nullptr || !target->is_string()) {
    throw ConfigError(fmt::format("{}: a {} needs _target_, the name of its class", where, kind),
                      all);
  }
  const std::string& wanted = target->as_string();
  for (const RegisteredClass& entry : table()) {
    if (entry.name != wanted) continue;
    if (entry.kind == kind) return entry;
    throw ConfigError(fmt::format("{}._target_: {} is a {}, but a {} is wanted here", where, wanted,
                                  entry.kind, kind),
                      all);
  }
  std::string nearest = base::nearest(wanted, names);
  if (nearest.empty()) {
    const std::string part = base::nearest(class_part(wanted), short_names);
    const auto at = std::find(short_names.begin(), short_names.end(), part);
    if (at != short_names.end())
      nearest = names[static_cast<std::size_t>(at - short_names.begin())];
  }
  throw ConfigError(fmt::format("{}._target_: no {} is named '{}'", where, kind, wanted),
                    nearest.empty() ? all : fmt::format("did you mean '{}'? {}", nearest, all));
}

}  // namespace polyphony::config
