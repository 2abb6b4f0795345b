#include <polyphony/config/bind/classes.h>

#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/target.h>

namespace polyphony::config {
namespace {

std::vector<RegisteredClass>& table() {
  static std::vector<RegisteredClass> classes;
  return classes;
}

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
  const Node* target = node.is_map() ? node.find("_target_") : nullptr;
  const Mark& mark = target == nullptr ? node.mark() : target->mark();
  const std::string where = mark.text().empty() ? path : mark.text() + ": " + path;
  if (target == nullptr || !target->is_string()) {
    std::vector<std::string> names;
    for (const RegisteredClass& entry : table()) {
      if (entry.kind == kind) names.push_back(entry.name);
    }
    throw ConfigError(fmt::format("{}: a {} needs _target_, the name of its class", where, kind),
                      fmt::format("known: {}", fmt::join(names, ", ")));
  }
  const Target found = find_target(target->as_string(), kind);
  if (found.entry == nullptr) {
    throw ConfigError(fmt::format("{}._target_: {}", where, found.fact), found.remedy);
  }
  if (found.entry->kind == kind) return *found.entry;
  throw ConfigError(fmt::format("{}._target_: {} is a {}, but a {} is wanted here", where,
                                target->as_string(), found.entry->kind, kind),
                    fmt::format("`polyphony list {}` prints what fits", kind));
}

}  // namespace polyphony::config
