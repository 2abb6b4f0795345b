#include <polyphony/config/merge.h>

#include <charconv>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/nearest.h>
#include <polyphony/config/errors.h>
#include <polyphony/config/scalars.h>

namespace polyphony::config {
namespace {

std::string join(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

Node* find_key(Node& map, const Node& key) {
  for (auto& [name, value] : map.entries()) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at <= path.size()) {
    const std::size_t dot = std::min(path.find('.', at), path.size());
    parts.push_back(path.substr(at, dot - at));
    at = dot + 1;
  }
  return parts;
}

Node* list_item(Node& list, const std::string& part) {
  std::size_t index = 0;
  const char* end = part.data() + part.size();
  const auto result = std::from_chars(part.data(), end, index);
  const bool good = result.ec == std::errc{} && result.ptr == end && index < list.items().size();
  return good ? &list.items()[index] : nullptr;
}

Node* child(Node& node, const std::string& part) {
  return node.is_list() ? list_item(node, part) : node.find(part);
}

std::vector<std::string> keys_of(const Node& node) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : node.entries()) keys.push_back(python_str(key));
  return keys;
}

[[noreturn]] void unknown_key(const Override& change, const Node& parent, const std::string& part,
                              const std::string& path) {
  const std::string near = base::nearest(part, keys_of(parent));
  const std::string full = join(path, part);
  std::string remedy;
  if (!near.empty()) remedy = fmt::format("did you mean '{}'? ", join(path, near));
  remedy += fmt::format("To append to your config use +{}={}", change.key, change.value_text());
  throw ComposeError(
      "ConfigCompositionException",
      fmt::format("Could not override '{}'. Key '{}' is not in struct (full key: {})", change.key,
                  part, full),
      remedy, full, change.value.mark());
}

/// Merges a mapping value of an override; unknown keys are errors unless the override adds.
void merge_known(Node& into, const Node& from, const Override& change, const std::string& path) {
  for (const auto& [key, value] : from.entries()) {
    Node* old = find_key(into, key);
    if (old == nullptr) unknown_key(change, into, python_str(key), path);
    if (old->is_map() && value.is_map()) {
      merge_known(*old, value, change, join(path, python_str(key)));
    } else {
      *old = value;
    }
  }
}

void change_value(Node& root, const Override& change) {
  Node* node = &root;
  std::string path;
  for (const std::string& part : split(change.key)) {
    Node* next = child(*node, part);
    if (next == nullptr) unknown_key(change, *node, part, path);
    path = join(path, part);
    node = next;
  }
  if (node->is_map() && change.value.is_map()) {
    merge_known(*node, change.value, change, change.key);
  } else {
    *node = change.value;
  }
}

void add_value(Node& root, const Override& change) {
  Node* node = &root;
  for (const std::string& part : split(change.key)) {
    if (node->is_list()) {
      node = list_item(*node, part);
      if (node == nullptr) {
        throw ComposeError(
            "ConfigCompositionException",
            fmt::format("Could not append '{}': no list item '{}'", change.key, part),
            "give the whole list instead", change.key, change.value.mark());
      }
      continue;
    }
    Node* next = node->find(part);
    if (next == nullptr) {
      if (!node->is_map()) {
        *node = Node::map();
        node->set_mark(change.value.mark());
      }
      next = &node->set(part, Node());
    }
    node = next;
  }
  if (node->is_map() && change.value.is_map()) {
    merge(*node, change.value, change.key);
  } else {
    *node = change.value;
  }
}

void delete_value(Node& root, const Override& change) {
  const std::size_t dot = change.key.rfind('.');
  Node* parent = &root;
  if (dot != std::string::npos) {
    for (const std::string& part : split(change.key.substr(0, dot))) {
      parent = parent == nullptr ? nullptr : child(*parent, part);
    }
  }
  const std::string last = dot == std::string::npos ? change.key : change.key.substr(dot + 1);
  Node* node = parent == nullptr ? nullptr : child(*parent, last);
  Mark mark{std::make_shared<const std::string>("override " + change.text), 0};
  if (node == nullptr || node->is_null()) {
    const std::string near = parent == nullptr ? "" : base::nearest(last, keys_of(*parent));
    throw ComposeError(
        "ConfigCompositionException",
        fmt::format("Could not delete from config. '{}' does not exist.", change.key),
        near.empty() ? "" : fmt::format("did you mean '{}'?", near), change.key, mark);
  }
  if (change.has_value && !change.value.is_null() && !(*node == change.value)) {
    throw ComposeError(
        "ConfigCompositionException",
        fmt::format("Could not delete from config. The value of '{}' is {} and not {}.", change.key,
                    python_str(*node), python_str(change.value)),
        fmt::format("~{} deletes whatever the value is", change.key), change.key, mark);
  }
  if (parent->is_list()) {
    parent->items().erase(parent->items().begin() + (node - parent->items().data()));
  } else {
    parent->erase(last);
  }
}

}  // namespace

void merge(Node& into, const Node& from, const std::string& path) {
  if (!into.is_map() || !from.is_map()) {
    if (from.is_missing() && !into.is_null()) return;
    into = from;
    return;
  }
  for (const auto& [key, value] : from.entries()) {
    Node* old = find_key(into, key);
    if (old == nullptr) {
      into.entries().emplace_back(key, value);
      continue;
    }
    const bool clash = (old->is_map() && value.is_list()) || (old->is_list() && value.is_map());
    const std::string full = join(path, python_str(key));
    if (clash) {
      throw ComposeError("ConfigCompositionException",
                         fmt::format("{}: a {} cannot be merged over a {}{}", full,
                                     Node::kind_name(value.kind()), Node::kind_name(old->kind()),
                                     old->mark().text().empty() ? "" : " of " + old->mark().text()),
                         "give the same kind of value in both files", full, value.mark());
    }
    if (old->is_map() && value.is_map()) {
      merge(*old, value, full);
    } else if (!value.is_missing()) {
      *old = value;
    }
  }
}

void apply_override(Node& root, const Override& change) {
  switch (change.type) {
    case OverrideType::kChange:
      return change_value(root, change);
    case OverrideType::kForceAdd:
      return add_value(root, change);
    case OverrideType::kDelete:
      return delete_value(root, change);
    case OverrideType::kAdd:
      break;
  }
  const Node* old = root.select(change.key);
  if (old != nullptr && old->is_scalar() && !old->is_null()) {
    throw ComposeError(
        "ConfigCompositionException",
        fmt::format("Could not append to config. An item is already at '{}'.", change.key),
        fmt::format(
            "Either remove + prefix: '{0}={1}'\nOr add a second + to add or override '{0}': "
            "'++{0}={1}'",
            change.key, change.value_text()),
        change.key, change.value.mark());
  }
  add_value(root, change);
}

Node in_package(Node node, std::string_view package) {
  while (!package.empty()) {
    const std::size_t dot = package.rfind('.');
    Node outer = Node::map();
    outer.set_mark(node.mark());
    outer.set(package.substr(dot == package.npos ? 0 : dot + 1), std::move(node));
    node = std::move(outer);
    package = dot == package.npos ? std::string_view{} : package.substr(0, dot);
  }
  return node;
}

}  // namespace polyphony::config
