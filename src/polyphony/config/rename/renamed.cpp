#include <polyphony/config/rename/renamed.h>

#include <fmt/format.h>

#include <polyphony/config/rename/aliases.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

std::string scalar_text(const Node& value) {
  if (value.is_null()) return "null";
  if (value.kind() == Node::Kind::kBool) return value.as_bool() ? "true" : "false";
  return python_str(value);
}

/// What '*' of the pattern stands for; nothing where the text does not match.
std::optional<std::string> match(std::string_view pattern, std::string_view text) {
  const std::size_t star = pattern.find('*');
  if (star == pattern.npos) {
    return pattern == text ? std::optional<std::string>("") : std::nullopt;
  }
  const std::string_view head = pattern.substr(0, star);
  const std::string_view tail = pattern.substr(star + 1);
  if (text.size() < head.size() + tail.size() || !text.starts_with(head) || !text.ends_with(tail))
    return std::nullopt;
  return std::string(text.substr(head.size(), text.size() - head.size() - tail.size()));
}

/// A row that names a value applies to scalars only; "[*" means any list, "{*" any mapping.
std::optional<std::string> match_value(const RenamedOption& row, const Node& value) {
  if (row.value.empty()) return "";
  if (row.value == "[*") return value.is_list() ? std::optional<std::string>("") : std::nullopt;
  if (row.value == "{*") return value.is_map() ? std::optional<std::string>("") : std::nullopt;
  return value.is_scalar() ? match(row.value, scalar_text(value)) : std::nullopt;
}

bool owns(std::string_view owners, std::string_view name) {
  if (owners == "*") return true;
  while (!owners.empty()) {
    const std::size_t bar = owners.find('|');
    if (owners.substr(0, bar) == name) return true;
    owners = bar == owners.npos ? std::string_view{} : owners.substr(bar + 1);
  }
  return false;
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  const std::size_t at = text.find(what);
  return at == text.npos ? text : text.replace(at, what.size(), with);
}

}  // namespace

const RenamedOption* find_renamed(std::string_view owner, std::string_view option,
                                  const Node& value) {
  const std::string_view name = class_part(owner);
  for (const RenamedOption& row : renamed_options()) {
    if (row.option == option && owns(row.owner, name) && match_value(row, value)) return &row;
  }
  return nullptr;
}

const RenamedClass* find_renamed_class(std::string_view target) {
  const std::optional<PythonName> name = python_name(target);
  if (!name) return nullptr;
  for (const RenamedClass& row : renamed_classes()) {
    if (row.family != name->family) continue;
    if (row.name.ends_with(".*")) {
      if (name->rest.starts_with(row.name.substr(0, row.name.size() - 1))) return &row;
      continue;
    }
    if (class_part(row.name) != class_part(name->rest)) continue;
    const std::size_t dot = row.name.rfind('.');
    if (dot == row.name.npos || name->rest.starts_with(row.name.substr(0, dot))) return &row;
  }
  return nullptr;
}

std::vector<Replacement> replacements(const RenamedOption& row, const Node& value) {
  std::vector<Replacement> list;
  std::string_view rest = row.use;
  const std::string star = match_value(row, value).value_or("");
  while (!rest.empty()) {
    const std::size_t end = rest.find("; ");
    const std::string_view part = rest.substr(0, end);
    rest = end == rest.npos ? std::string_view{} : rest.substr(end + 2);
    const std::size_t equals = part.find('=');
    Replacement item;
    item.root = part.starts_with('/');
    item.key = std::string(part.substr(item.root ? 1 : 0, equals - (item.root ? 1 : 0)));
    const std::string_view wanted = part.substr(equals + 1);
    item.keeps_value = wanted == "{}";
    if (!item.keeps_value) {
      item.value = replaced(std::string(wanted), "{}", scalar_text(value));
      if (row.value.find('*') != row.value.npos) item.value = replaced(item.value, "*", star);
    }
    list.push_back(std::move(item));
  }
  return list;
}

std::string renamed_text(const RenamedOption& row, const Node& value, const std::string& path) {
  const std::vector<Replacement> list = replacements(row, value);
  const bool in_steps = row.since.find("(removed") != row.since.npos;
  const char* verb = list.empty()                     ? (in_steps ? "deprecated" : "removed")
                     : row.option == list.front().key ? "changed"
                                                      : "renamed";
  std::string text = fmt::format("{} in {}", verb, row.since);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Replacement& item = list[i];
    const std::string key = item.root || path.empty() ? item.key : path + "." + item.key;
    const std::string whole = item.keeps_value ? key : key + "=" + item.value;
    text += i == 0 ? ": use " + whole : (i == 1 ? " (and " : ", ") + whole;
  }
  if (list.size() > 1) text += ")";
  if (!row.note.empty()) text += fmt::format("{} {}", list.empty() ? ":" : ";", row.note);
  return text;
}

std::string renamed_class_text(const RenamedClass& row) {
  std::string text = row.use.empty() ? fmt::format("removed in {}", row.since)
                                     : fmt::format("renamed in {}: use {}", row.since, row.use);
  if (!row.note.empty()) text += fmt::format("{} {}", row.use.empty() ? ":" : ";", row.note);
  return text;
}

}  // namespace polyphony::config
