#include <polyphony/config/bind/target.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/nearest.h>
#include <polyphony/base/terminal/table.h>
#include <polyphony/config/rename/aliases.h>
#include <polyphony/config/rename/renamed.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

bool fits(const RegisteredClass& entry, std::string_view kind) {
  return kind.empty() || entry.kind == kind;
}

/// Parts of every experiment that Python names as classes.
constexpr std::pair<std::string_view, std::string_view> kSections[] = {
    {"polyphony.Trainer", "trainer"}};

std::string section_of(std::string_view name) {
  for (const auto& [ours, section] : kSections) {
    if (ours == name) return std::string(section);
  }
  return "";
}

const RegisteredClass* by_name(std::string_view name) {
  for (const RegisteredClass& entry : registered_classes()) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

std::vector<const RegisteredClass*> by_class(std::string_view part, std::string_view kind) {
  std::vector<const RegisteredClass*> found;
  for (const RegisteredClass& entry : registered_classes()) {
    if (fits(entry, kind) && class_part(entry.name) == part) found.push_back(&entry);
  }
  return found;
}

std::vector<std::string> names_of(std::string_view kind) {
  std::vector<std::string> names;
  for (const RegisteredClass& entry : registered_classes()) {
    if (fits(entry, kind)) names.push_back(entry.name);
  }
  return names;
}

/// By the whole name, then by the class alone: "torch.optim.AdamX" is near "polyphony.optim.AdamW".
std::string nearest_name(std::string_view wanted, const std::vector<std::string>& names) {
  std::vector<std::string> parts;
  for (const std::string& name : names) parts.emplace_back(class_part(name));
  const std::string part = base::nearest(class_part(wanted), parts);
  for (const std::string& name : names) {
    if (!part.empty() && class_part(name) == part) return name;
  }
  return base::nearest(wanted, names);
}

std::string known(std::string_view wanted, std::string_view kind) {
  const std::vector<std::string> names = names_of(kind);
  const std::string all = fmt::format("known: {}", fmt::join(names, ", "));
  const std::string near = nearest_name(wanted, names);
  return near.empty() ? all : fmt::format("did you mean '{}'? {}", near, all);
}

Target no_counterpart(std::string_view name, std::string_view note, std::string_view kind) {
  Target target;
  target.fact = note.empty() ? fmt::format("{} has no counterpart yet", name)
                             : fmt::format("{} has no counterpart yet: {}", name, note);
  const std::vector<std::string> names = names_of(kind);
  target.remedy = kind.empty() ? "`polyphony list` prints what there is"
                               : fmt::format("known: {}", fmt::join(names, ", "));
  return target;
}

void add_targets(const Node& node, const std::string& path, const Node& aliases, Table& table,
                 std::size_t& unresolved) {
  const auto below = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
  for (std::size_t i = 0; i < node.items().size(); ++i)
    add_targets(node.items()[i], below(std::to_string(i)), aliases, table, unresolved);
  for (const auto& [key, value] : node.entries()) {
    const std::string name = python_str(key);
    if (name != "_target_" || !value.is_string()) {
      add_targets(value, below(name), aliases, table, unresolved);
      continue;
    }
    const Node* mine = aliases.find(value.as_string());
    const Target target =
        find_target(mine != nullptr && mine->is_string() ? mine->as_string() : value.as_string());
    if (target.entry == nullptr && target.section.empty()) ++unresolved;
    const std::string about = value.as_string() + " has ";
    const std::string fact =
        target.fact.starts_with(about) ? target.fact.substr(about.size()) : target.fact;
    const std::string is = target.entry != nullptr   ? target.entry->name
                           : !target.section.empty() ? "the section `" + target.section + "`"
                                                     : fact;
    table.add_row({path, value.as_string(), is, target.how});
  }
}

Target found(const RegisteredClass* entry, const char* how) { return {entry, how, "", "", ""}; }

Target section_found(const std::string& section) {
  return {nullptr, "section", section,
          fmt::format("it is no class, but the section `{}` of an experiment", section),
          fmt::format("write its options under `{}:`", section)};
}

}  // namespace

Target find_target(std::string_view name, std::string_view kind) {
  if (const RegisteredClass* entry = by_name(name)) return found(entry, "");
  if (const std::string section = section_of(name); !section.empty()) return section_found(section);
  if (const RenamedClass* old = find_renamed_class(name)) {
    Target target;
    target.fact = fmt::format("{} is an old name", name);
    target.remedy = renamed_class_text(*old);
    return target;
  }
  if (const Alias* alias = find_alias(name)) {
    if (const RegisteredClass* entry = by_name(alias->ours)) return found(entry, "alias");
    if (const std::string section = section_of(alias->ours); !section.empty())
      return section_found(section);
    const auto named = by_class(class_part(alias->ours), kind);
    if (!alias->ours.empty() && named.size() == 1) return found(named[0], "alias");
    return no_counterpart(name, alias->note, kind);
  }
  const auto named = by_class(class_part(name), kind);
  if (named.size() == 1) return found(named[0], "class name");
  Target target;
  if (named.size() > 1) {
    target.fact = fmt::format("'{}' may be {} or {}", name, named[0]->name, named[1]->name);
    target.remedy = fmt::format("write the name, or an entry of the `aliases:` table: {}: {}", name,
                                named[0]->name);
    return target;
  }
  const auto python = python_name(name);
  if (python && python->family != "original") return no_counterpart(name, "", kind);
  target.fact = fmt::format("no {} is named '{}'", kind.empty() ? "class" : kind, name);
  target.remedy = known(name, kind);
  return target;
}

TargetReport report_targets(const Node& config) {
  Table table({"key", "_target_", "is", "by"});
  TargetReport report;
  const Node* aliases = config.find("aliases");
  add_targets(config, "", aliases == nullptr ? Node() : *aliases, table, report.unresolved);
  report.text = table.to_text();
  return report;
}

}  // namespace polyphony::config
