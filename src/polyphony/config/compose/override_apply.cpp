// One value override, applied as OmegaConf.update and Hydra's loader do it.
#include <charconv>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/nearest.h>
#include <polyphony/config/compose/hydra_schema.h>
#include <polyphony/config/compose/merge.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/interpolation_grammar.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

constexpr const char* kComposition = "ConfigCompositionException";

std::string join(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
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

Mark place_of(const Override& change) {
  return {std::make_shared<const std::string>("override " + change.text), 0};
}

std::vector<std::string> keys_of(const Node& node) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : node.entries()) keys.push_back(python_str(key));
  return keys;
}

/// Applies one override to one configuration.
class Application {
 public:
  Application(Node& root, const Override& change, const ResolveContext& context)
      : root_(root), change_(change), context_(context) {}

  void run() {
    try {
      switch (change_.type) {
        case OverrideType::kDelete:
          return remove();
        case OverrideType::kAdd:
          check_free();
          return update(true);
        case OverrideType::kForceAdd:
          return update(true);
        case OverrideType::kChange:
          return update(false);
      }
    } catch (const ComposeError& error) {
      if (!error.is_omegaconf()) throw;
      throw error.at(place_of(change_)).as(kComposition);
    }
  }

 private:
  [[noreturn]] void fail(const char* type, const std::string& fact,
                         const std::string& remedy = "") const {
    throw ComposeError(type, fact, remedy, change_.key, place_of(change_));
  }

  [[noreturn]] void unknown_key(const Node& parent, const std::string& part,
                                const std::string& path) const {
    const std::string near = base::nearest(part, keys_of(parent));
    std::string remedy;
    if (!near.empty()) remedy = fmt::format("did you mean '{}'? ", join(path, near));
    remedy += fmt::format("To append to your config use +{}", change_.text);
    throw ComposeError("ConfigKeyError",
                       fmt::format("Could not override '{}'. Key '{}' is not in struct (full key: "
                                   "{})",
                                   change_.key, part, join(path, part)),
                       remedy, join(path, part), place_of(change_))
        .as(kComposition);
  }

  std::size_t index_of(const std::string& part, const char* error) const {
    std::size_t index = 0;
    const char* end = part.data() + part.size();
    const auto result = std::from_chars(part.data(), end, index);
    if (result.ec != std::errc{} || result.ptr != end) {
      fail(error, fmt::format("'{}': '{}' is no index of a list", change_.key, part),
           "give a number from 0, or the whole list");
    }
    return index;
  }

  Node& item(Node& list, std::size_t index, const std::string& path) const {
    if (index < list.items().size()) return list.items()[index];
    throw ComposeError("ConfigIndexError",
                       fmt::format("{}: list index {} is out of range (the list has {} items)",
                                   path, index, list.items().size()),
                       "give the whole list instead", change_.key, place_of(change_));
  }

  /// The container that holds the last part of the key, made where it may be made.
  Node& parent_of_last(const std::vector<std::string>& parts, bool add) {
    Node* node = &root_;
    std::string path;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const std::string& part = parts[i];
      Node* next = nullptr;
      if (node->is_list()) {
        next = &item(*node, index_of(part, "TypeError"), path);
      } else {
        next = node->find(part);
        if (next == nullptr && !add) unknown_key(*node, part, path);
        if (next == nullptr) next = &node->set(part, Node::map());
      }
      path = join(path, part);
      if (next->is_scalar()) {
        if (next->is_null() && is_optional_hydra_mapping(path)) {
          fail("AssertionError", fmt::format("'{}' is null and no mapping", path),
               "set it in the primary configuration");
        }
        *next = Node::map();
        next->set_mark(change_.value.mark());
      }
      node = next;
    }
    return *node;
  }

  void update(bool add) {
    if (change_.holds_sweep) {
      throw ComposeError(
          "UnsupportedValueType",
          fmt::format("'{}': a sweep cannot stand inside a list or mapping", change_.text),
          "sweep over the whole value", change_.key, place_of(change_));
    }
    check_keys(change_.value);
    check_interpolations(change_.value, change_.key);
    const std::vector<std::string> parts = split(change_.key);
    Node& parent = parent_of_last(parts, add);
    const std::string& last = parts.back();
    const bool whole = change_.value.is_map() || change_.value.is_list();
    if (parent.is_list()) {
      Node& old = item(parent, index_of(last, "ValueError"), change_.key);
      return put(old, whole, add);
    }
    Node* old = parent.find(last);
    if (old != nullptr) return put(*old, whole, add);
    if (!add) {
      const std::size_t dot = change_.key.rfind('.');
      unknown_key(parent, last, dot == std::string::npos ? "" : change_.key.substr(0, dot));
    }
    parent.set(last, change_.value);
  }

  void put(Node& old, bool whole, bool add) {
    if (whole && old.is_null() && is_optional_hydra_mapping(change_.key)) {
      fail("AttributeError", fmt::format("'{}' is null and cannot be merged with", change_.key),
           "set it in the primary configuration");
    }
    if (!whole || old.is_scalar()) {
      old = change_.value;
      return;
    }
    merge(old, change_.value, {add, nullptr, change_.key});
  }

  /// YAML's null is no key of OmegaConf's mappings.
  void check_keys(const Node& value) const {
    for (const Node& element : value.items()) check_keys(element);
    for (const auto& [key, element] : value.entries()) {
      if (key.is_null()) {
        throw ComposeError("KeyValidationError",
                           fmt::format("{}: null cannot be a key", change_.key), "quote it",
                           change_.key, place_of(change_));
      }
      check_keys(element);
    }
  }

  /// `+` wants a key that is absent or null, unless the value is a mapping or list.
  void check_free() const {
    if (change_.value.is_map() || change_.value.is_list()) return;
    const std::optional<Node> old = select(root_, change_.key, context_);
    if (!old || old->is_null()) return;
    fail(kComposition,
         fmt::format("Could not append to config. An item is already at '{}'.", change_.key),
         fmt::format("Either remove + prefix: '{}'\nOr add a second + to add or override '{}': "
                     "'+{}'",
                     change_.text.substr(1), change_.key, change_.text));
  }

  void remove() {
    const std::optional<Node> value = select(root_, change_.key, context_);
    const std::vector<std::string> parts = split(change_.key);
    Node* parent = &root_;
    for (std::size_t i = 0; i + 1 < parts.size() && parent != nullptr; ++i) {
      if (parent->is_list()) {
        const std::size_t index = index_of(parts[i], "TypeError");
        parent = index < parent->items().size() ? &parent->items()[index] : nullptr;
      } else {
        parent = parent->find(parts[i]);
      }
    }
    if (!value || value->is_null() || parent == nullptr) {
      const std::string near =
          parent == nullptr ? "" : base::nearest(parts.back(), keys_of(*parent));
      fail(kComposition,
           fmt::format("Could not delete from config. '{}' does not exist.", change_.key),
           near.empty() ? "" : fmt::format("did you mean '{}'?", near));
    }
    if (!change_.value.is_null() && !python_equal(*value, change_.value)) {
      fail(kComposition,
           fmt::format("Could not delete from config. The value of '{}' is {} and not {}.",
                       change_.key, python_str(*value), python_str(change_.value)),
           fmt::format("~{} deletes whatever the value is", change_.key));
    }
    if (parent->is_list()) {
      fail("TypeError", fmt::format("'{}': an item of a list cannot be deleted", change_.key),
           "give the whole list without it");
    }
    parent->erase(parts.back());
  }

  Node& root_;
  const Override& change_;
  const ResolveContext& context_;
};

}  // namespace

void apply_override(Node& root, const Override& change, const ResolveContext& context) {
  if (change.package) {
    throw ComposeError(kComposition,
                       fmt::format("Override {} looks like a config group override, but config "
                                   "group '{}' does not exist.",
                                   change.text, change.key),
                       "a value's key takes no '@'; a group is a folder of the search path",
                       change.key, place_of(change));
  }
  Application(root, change, context).run();
}

}  // namespace polyphony::config
