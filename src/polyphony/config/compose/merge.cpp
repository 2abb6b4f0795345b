#include <polyphony/config/compose/merge.h>

#include <fmt/format.h>

#include <polyphony/base/nearest.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

Node* find_key(Node& map, const Node& key) {
  if (key.is_string()) return map.find(key.as_string());
  for (auto& [name, value] : map.entries()) {
    if (same_key(name, key)) return &value;
  }
  return nullptr;
}

std::string under(const std::string& path, const Node& key) {
  return path.empty() ? python_str(key) : path + "." + python_str(key);
}

bool is_container(const Node& node) { return node.is_map() || node.is_list(); }

/// A text that stands for a mapping or list gives way to a copy of it before it is merged over.
void dereference(Node& old, const MergeOptions& options, const std::string& path) {
  if (options.root == nullptr || !old.is_string() || !old.as_string().starts_with("${")) return;
  try {
    Node target = resolve_text(old.as_string(), *options.root, {}, path);
    if (is_container(target)) old = std::move(target);
  } catch (const ComposeError&) {
    // what cannot be resolved is replaced like any other text
  }
}

[[noreturn]] void unknown_key(const Node& into, const Node& key, const std::string& path,
                              const Mark& mark) {
  std::vector<std::string> known;
  for (const auto& [name, value] : into.entries()) known.push_back(python_str(name));
  const std::string near = base::nearest(python_str(key), known);
  throw ComposeError("ConfigKeyError",
                     fmt::format("{}: key '{}' is not in struct", path, python_str(key)),
                     near.empty() ? "" : fmt::format("did you mean '{}'?", near), path, mark);
}

[[noreturn]] void clash(const Node& old, const Node& value, const std::string& path) {
  const std::string place = old.mark().text();
  throw ComposeError("ConfigTypeError",
                     fmt::format("{}a {} cannot be merged over a {}{}",
                                 path.empty() ? "" : path + ": ", Node::kind_name(value.kind()),
                                 Node::kind_name(old.kind()), place.empty() ? "" : " of " + place),
                     "give the same kind of value in both places", path, value.mark());
}

void merge_maps(Node& into, const Node& from, const MergeOptions& options) {
  for (const auto& [key, value] : from.entries()) {
    Node* old = find_key(into, key);
    if (old == nullptr) {
      if (!options.may_add) unknown_key(into, key, under(options.path, key), value.mark());
      into.append(key, value);
      continue;
    }
    if (is_container(value) && old->is_string()) {
      dereference(*old, options, under(options.path, key));
    }
    if (old->is_map() && value.is_map()) {
      merge_maps(*old, value, {options.may_add, options.root, under(options.path, key)});
    } else if (is_container(*old) && is_container(value) && old->kind() != value.kind()) {
      clash(*old, value, under(options.path, key));
    } else if (!value.is_missing()) {
      *old = value;
    }
  }
}

}  // namespace

void merge(Node& into, const Node& from, const MergeOptions& options) {
  if (into.is_map() && from.is_map()) return merge_maps(into, from, options);
  if (is_container(into) && is_container(from) && into.kind() != from.kind()) {
    clash(into, from, options.path);
  }
  if (!from.is_missing() || into.is_null()) into = from;
}

void merge_at(Node& root, const Node& from, const std::string& package,
              const MergeOptions& options) {
  Node* into = &root;
  std::string_view rest = package;
  while (!rest.empty()) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view part = rest.substr(0, dot);
    Node* next = into->find(part);
    if (next == nullptr) {
      next = &into->set(part, Node::map());
      next->set_mark(from.mark());
    }
    if (!next->is_map() || from.is_list()) {
      return merge(root, in_package(from, package), options);
    }
    into = next;
    rest.remove_prefix(std::min(dot + 1, rest.size()));
  }
  merge(*into, from, {options.may_add, options.root, package});
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
