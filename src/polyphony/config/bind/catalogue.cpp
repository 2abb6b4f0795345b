#include <polyphony/config/bind/catalogue.h>

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/nearest.h>
#include <polyphony/base/terminal/table.h>
#include <polyphony/config/bind/target.h>
#include <polyphony/config/rename/aliases.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

std::map<std::string, std::vector<const RegisteredClass*>> by_kind() {
  std::map<std::string, std::vector<const RegisteredClass*>> kinds;
  for (const RegisteredClass& entry : registered_classes()) kinds[entry.kind].push_back(&entry);
  for (auto& [kind, entries] : kinds) {
    std::sort(entries.begin(), entries.end(),
              [](const auto* a, const auto* b) { return a->name < b->name; });
  }
  return kinds;
}

std::string kind_text(const std::string& kind, const std::vector<const RegisteredClass*>& entries) {
  std::size_t width = 0;
  for (const RegisteredClass* entry : entries) width = std::max(width, entry->name.size());
  std::string text = kind + "\n";
  for (const RegisteredClass* entry : entries)
    text += fmt::format("  {:<{}}  {}\n", entry->name, width, entry->doc);
  return text;
}

void add_options(const std::vector<FieldDoc>& fields, const std::string& prefix, Table& table) {
  for (const FieldDoc& field : fields) {
    const std::string value = field.required ? "required" : field.default_text;
    const std::string doc =
        field.rule.empty() ? field.doc : fmt::format("{} ({})", field.doc, field.rule);
    table.add_row({prefix + field.name, field.type, value, doc});
    add_options(field.fields, prefix + field.name + ".", table);
  }
}

std::string class_text(const RegisteredClass& entry) {
  std::string text = fmt::format("{}  ({})\n{}\n", entry.name, entry.kind, entry.doc);
  const std::vector<std::string> names = python_names_of(entry.name);
  if (!names.empty()) text += fmt::format("also: {}\n", fmt::join(names, ", "));
  Fields fields;
  entry.describe(fields);
  if (fields.docs().empty()) return text + "\nno options\n";
  Table table({"option", "type", "default", "meaning"});
  add_options(fields.docs(), "", table);
  return text + "\n" + table.to_text();
}

/// "callbacks" and "callback" are "Callback".
bool means_kind(const std::string& name, const std::string& kind) {
  const std::string low = lower(name), wanted = lower(kind);
  return low == wanted || low == wanted + "s" ||
         (wanted.ends_with("y") && low == wanted.substr(0, wanted.size() - 1) + "ies");
}

[[noreturn]] void unknown(const std::string& name, const std::string& remedy) {
  std::vector<std::string> kinds, known;
  for (const auto& [kind, entries] : by_kind()) {
    kinds.push_back(kind);
    for (const RegisteredClass* entry : entries) known.push_back(entry->name);
  }
  known.insert(known.end(), kinds.begin(), kinds.end());
  const std::string near = base::nearest(name, known);
  throw UsageError(fmt::format("list: nothing is named '{}'", name),
                   fmt::format("{}kinds: {}",
                               !remedy.empty() ? remedy + "; "
                               : near.empty()  ? ""
                                               : fmt::format("did you mean '{}'? ", near),
                               fmt::join(kinds, ", ")));
}

}  // namespace

std::string catalogue(const std::string& name) {
  std::string text;
  for (const auto& [kind, entries] : by_kind()) {
    if (!name.empty() && !means_kind(name, kind)) continue;
    text += (text.empty() ? "" : "\n") + kind_text(kind, entries);
  }
  if (name.empty()) text += "\n`polyphony list NAME` prints a class with its options\n";
  if (!text.empty()) return text;
  const Target target = find_target(name);
  if (target.entry != nullptr) return class_text(*target.entry);
  unknown(name, name.find('.') == name.npos || target.fact.starts_with("no class is named")
                    ? ""
                    : target.fact);
}

}  // namespace polyphony::config
