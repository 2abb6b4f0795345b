#include <polyphony/config/bind/fields.h>

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/nearest.h>
#include <polyphony/config/rename/renamed.h>

namespace polyphony::config {
namespace {

std::string place(const Node& node) {
  const std::string where = node.mark().text();
  return where.empty() ? "" : where + ": ";
}

std::string join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

}  // namespace

Fields::Fields(const Node& node, std::string owner, std::string path)
    : node_(&node), owner_(std::move(owner)), path_(std::move(path)) {
  if (!node.is_map()) {
    throw ConfigError(fmt::format("{}{}: {} takes a mapping of options, not a {}", place(node),
                                  path_, owner_, Node::kind_name(node.kind())),
                      fmt::format("`polyphony list {}` shows the options", owner_));
  }
}

const Node* Fields::enter(const char* name, FieldDoc doc) {
  const bool required = doc.required;
  docs_.push_back(std::move(doc));
  if (node_ == nullptr) return nullptr;
  const Node* value = node_->find(name);
  const bool absent = value == nullptr || value->is_missing();
  if (absent && (required || value != nullptr)) {
    const FieldDoc& field = docs_.back();
    throw ConfigError(
        fmt::format("{}{}: option of {} is missing", place(value ? *value : *node_),
                    join(path_, name), owner_),
        fmt::format("give it a value: {}=<{}> ({})", join(path_, name), field.type, field.doc));
  }
  return value;
}

void Fields::wrong_type(const char* name, const Node& value, const std::string& want) const {
  std::string got = Node::kind_name(value.kind());
  if (value.is_string()) got += " '" + value.as_string() + "'";
  const auto doc = std::find_if(docs_.begin(), docs_.end(),
                                [&](const FieldDoc& field) { return field.name == name; });
  std::string remedy = doc == docs_.end() ? "" : fmt::format("{}: {}", name, doc->doc);
  if (const RenamedOption* row = find_renamed(owner_, name, value)) {
    remedy = renamed_text(*row, value, path_);
  }
  throw ConfigError(fmt::format("{}{}: option of {} wants {}, not {}", place(value),
                                join(path_, name), owner_, want, got),
                    remedy);
}

void Fields::check(const char* name, bool holds, const char* rule) {
  const auto doc = std::find_if(docs_.begin(), docs_.end(),
                                [&](const FieldDoc& field) { return field.name == name; });
  if (doc != docs_.end()) doc->rule = rule;
  if (node_ == nullptr || holds) return;
  const Node* value = node_->find(name);
  throw ConfigError(fmt::format("{}{}: option of {} must be {}", place(value ? *value : *node_),
                                join(path_, name), owner_, rule),
                    value ? fmt::format("it is {}", show(*value)) : "");
}

void Fields::unknown(const std::string& name, const Node& key, const Node& value) const {
  const std::string where = place(key.mark().text().empty() ? value : key);
  const std::string fact =
      fmt::format("{}{}: no such option of {}", where, join(path_, name), owner_);
  if (const RenamedOption* row = find_renamed(owner_, name, value)) {
    throw ConfigError(fact, renamed_text(*row, value, path_));
  }
  std::vector<std::string> known;
  for (const FieldDoc& field : docs_) known.push_back(field.name);
  const std::string nearest = base::nearest(name, known);
  const std::string all = fmt::format("options: {}", fmt::join(known, ", "));
  throw ConfigError(fact,
                    nearest.empty() ? all : fmt::format("did you mean '{}'? {}", nearest, all));
}

void Fields::finish() const {
  if (node_ == nullptr) return;
  for (const auto& [key, value] : node_->entries()) {
    const std::string name = key.is_string() ? key.as_string() : show(key);
    if (is_instantiation_key(name)) continue;
    const bool known = std::any_of(docs_.begin(), docs_.end(),
                                   [&](const FieldDoc& field) { return field.name == name; });
    if (!known) unknown(name, key, value);
  }
}

bool is_instantiation_key(std::string_view name) {
  return name == "_target_" || name == "_args_" || name == "_partial_" || name == "_recursive_" ||
         name == "_convert_";
}

bool read(const Node& node, bool& value) {
  if (node.kind() != Node::Kind::kBool) return false;
  value = node.as_bool();
  return true;
}

bool read(const Node& node, std::int64_t& value) {
  if (node.kind() != Node::Kind::kInt || node.is_big_int()) return false;
  value = node.as_int();
  return true;
}

bool read(const Node& node, int& value) {
  std::int64_t wide = 0;
  if (!read(node, wide) || wide < std::numeric_limits<int>::min() ||
      wide > std::numeric_limits<int>::max()) {
    return false;
  }
  value = static_cast<int>(wide);
  return true;
}

bool read(const Node& node, double& value) {
  if (node.kind() != Node::Kind::kFloat && node.kind() != Node::Kind::kInt) return false;
  value = node.is_big_int() ? std::stod(node.as_string()) : node.as_float();
  return true;
}

bool read(const Node& node, std::string& value) {
  if (!node.is_string()) return false;
  value = node.as_string();
  return true;
}

bool read(const Node& node, Node& value) {
  value = node;
  return true;
}

std::string show(bool value) { return value ? "true" : "false"; }
std::string show(std::int64_t value) { return std::to_string(value); }
std::string show(int value) { return std::to_string(value); }
std::string show(double value) { return fmt::format("{}", value); }
std::string show(const std::string& value) { return value.empty() ? "''" : value; }

std::string show(const Node& value) {
  switch (value.kind()) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kBool:
      return show(value.as_bool());
    case Node::Kind::kInt:
      return value.is_big_int() ? value.as_string() : show(value.as_int());
    case Node::Kind::kFloat:
      return show(value.as_float());
    case Node::Kind::kString:
      return show(value.as_string());
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a mapping";
  }
  return "";
}

}  // namespace polyphony::config
