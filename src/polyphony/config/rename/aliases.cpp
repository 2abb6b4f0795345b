#include <polyphony/config/rename/aliases.h>

namespace polyphony::config {
namespace {

/// "a.b" begins "a.b.c" and is "a.b", but does not begin "a.bc".
bool begins(std::string_view name, std::string_view part) {
  return name.starts_with(part) && (name.size() == part.size() || name[part.size()] == '.');
}

bool matches(const Alias& row, const PythonName& name) {
  if (row.family != name.family || class_part(row.name) != class_part(name.rest)) return false;
  const std::size_t dot = row.name.rfind('.');
  const std::string_view package =
      dot == row.name.npos ? std::string_view{} : row.name.substr(0, dot);
  return package.empty() || begins(name.rest, package);
}

}  // namespace

std::string_view class_part(std::string_view dotted) {
  return dotted.substr(dotted.rfind('.') + 1);  // npos + 1 is 0
}

std::optional<PythonName> python_name(std::string_view target) {
  for (const AliasFamily& family : alias_families()) {
    if (!begins(target, family.root)) continue;
    const std::size_t at = std::min(family.root.size() + 1, target.size());
    return PythonName{family.family, target.substr(at)};
  }
  return std::nullopt;
}

const Alias* find_alias(std::string_view target) {
  // Transformers builds a pretrained class by its own function.
  constexpr std::string_view kPretrained = ".from_pretrained";
  if (target.ends_with(kPretrained)) target.remove_suffix(kPretrained.size());
  const std::optional<PythonName> name = python_name(target);
  if (!name) return nullptr;
  const Alias* found = nullptr;
  for (const Alias& row : alias_rows()) {
    if (!matches(row, *name)) continue;
    if (row.name == name->rest) return &row;
    if (found == nullptr || row.name.size() > found->name.size()) found = &row;
  }
  return found;
}

std::vector<std::string> python_names_of(std::string_view ours) {
  std::vector<std::string> names;
  for (const Alias& row : alias_rows()) {
    if (row.ours != ours) continue;
    for (const AliasFamily& family : alias_families()) {
      if (family.family != row.family) continue;
      names.push_back(std::string(family.root) + "." + std::string(row.name));
      break;
    }
  }
  return names;
}

}  // namespace polyphony::config
