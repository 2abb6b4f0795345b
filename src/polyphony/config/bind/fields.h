#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// An option whose value is another registered class: `model: {_target_: …}`.
/// Keeps the node until the owner builds it with `config::build` (see instantiate.h).
template <class Interface>
struct Child {
  Node node;
  bool is_set() const { return !node.is_null(); }
};

/// One enum's names, for parsing, printing and messages. Specialise `EnumNames<E>::kTable`.
template <class E>
struct EnumNames;

/// What one option is, for errors, documentation and schemas.
struct FieldDoc {
  std::string name;
  std::string type;          ///< "int", "str", "list[str]", "Model", "min|max", …
  std::string default_text;  ///< as YAML; empty where required
  std::string doc;           ///< one line: meaning, unit, range
  bool required = false;
  std::string rule;              ///< what values are allowed, e.g. "at least 1"; may be empty
  std::vector<FieldDoc> fields;  ///< of an options struct inside this one
};

/// Visits an options struct's field list. One list serves binding, defaults, printing,
/// documentation and errors. An options struct says `void describe(config::Fields& f) {
/// f("patience", patience, "…"); }`.
class Fields {
 public:
  /// Collects documentation only.
  Fields() = default;
  /// Binds from a mapping. @param owner  the class's dotted name, for messages; @param path  key
  /// path
  Fields(const Node& node, std::string owner, std::string path);

  /// An option with its default in the member. @throws ConfigError on a value of another type
  template <class T>
  void operator()(const char* name, T& member, const char* doc);
  /// An option that must be given.
  template <class T>
  void required(const char* name, T& member, const char* doc);
  /// Checks that a bound option lies in a range or set; `rule` says which, e.g. "at least 1".
  void check(const char* name, bool holds, const char* rule);

  /// After all fields: every key nobody read is an error that says what replaced it, where a later
  /// version of the Python stack renamed it, else names the nearest option.
  void finish() const;
  const std::vector<FieldDoc>& docs() const { return docs_; }

 private:
  template <class T>
  void bind_value(const char* name, T& member, const char* doc);
  const Node* enter(const char* name, FieldDoc doc);
  [[noreturn]] void wrong_type(const char* name, const Node& value, const std::string& want) const;
  [[noreturn]] void unknown(const std::string& name, const Node& key, const Node& value) const;

  const Node* node_ = nullptr;
  std::string owner_;
  std::string path_;
  std::vector<FieldDoc> docs_;
};

/// One of Hydra's keys beside the options: _target_, _args_, _partial_, _recursive_, _convert_.
bool is_instantiation_key(std::string_view name);

/// Conversions between nodes and C++ types; each returns false where the node is of another type.
bool read(const Node& node, bool& value);
bool read(const Node& node, std::int64_t& value);
bool read(const Node& node, int& value);
bool read(const Node& node, double& value);
bool read(const Node& node, std::string& value);
bool read(const Node& node, Node& value);
std::string show(bool value);
std::string show(std::int64_t value);
std::string show(int value);
std::string show(double value);
std::string show(const std::string& value);
std::string show(const Node& value);
inline const char* type_name(const bool&) { return "bool"; }
inline const char* type_name(const std::int64_t&) { return "int"; }
inline const char* type_name(const int&) { return "int"; }
inline const char* type_name(const double&) { return "float"; }
inline const char* type_name(const std::string&) { return "str"; }
inline const char* type_name(const Node&) { return "any"; }

template <class I>
bool read(const Node& node, Child<I>& value) {
  if (!node.is_map() && !node.is_null()) return false;
  value.node = node;
  return true;
}
template <class I>
std::string show(const Child<I>&) {
  return "null";
}
template <class I>
std::string type_name(const Child<I>&) {
  return I::kKind;
}

template <class E>
requires std::is_enum_v<E>
bool read(const Node& node, E& value) {
  if (!node.is_string()) return false;
  for (const auto& [name, item] : EnumNames<E>::kTable) {
    if (node.as_string() == name) {
      value = item;
      return true;
    }
  }
  return false;
}
template <class E>
requires std::is_enum_v<E> std::string show(E value) {
  for (const auto& [name, item] : EnumNames<E>::kTable) {
    if (item == value) return name;
  }
  return "";
}
template <class E>
requires std::is_enum_v<E> std::string type_name(E) {
  std::string names;
  for (const auto& [name, item] : EnumNames<E>::kTable) {
    if (!names.empty()) names += '|';
    names += name;
  }
  return names;
}

template <class T>
bool read(const Node& node, std::optional<T>& value) {
  if (node.is_null()) {
    value.reset();
    return true;
  }
  return read(node, value.emplace());
}
template <class T>
std::string show(const std::optional<T>& value) {
  return value ? show(*value) : "null";
}
template <class T>
std::string type_name(const std::optional<T>&) {
  return std::string(type_name(T{})) + " or null";
}

template <class T>
bool read(const Node& node, std::vector<T>& value) {
  if (!node.is_list()) return false;
  value.clear();
  for (const Node& item : node.items()) {
    if (!read(item, value.emplace_back())) return false;
  }
  return true;
}
template <class T>
std::string show(const std::vector<T>& value) {
  std::string text = "[";
  for (const T& item : value) text += (text.size() > 1 ? ", " : "") + show(item);
  return text + "]";
}
template <class T>
std::string type_name(const std::vector<T>&) {
  return "list[" + std::string(type_name(T{})) + "]";
}

/// A mapping from names to values of one type, in the order written.
template <class T>
using Named = std::vector<std::pair<std::string, T>>;
template <class T>
bool read(const Node& node, Named<T>& value) {
  if (!node.is_map()) return false;
  value.clear();
  for (const auto& [key, item] : node.entries()) {
    if (!key.is_string()) return false;
    value.emplace_back(key.as_string(), T{});
    if (!read(item, value.back().second)) return false;
  }
  return true;
}
template <class T>
std::string show(const Named<T>& value) {
  std::string text = "{";
  for (const auto& [name, item] : value)
    text += (text.size() > 1 ? ", " : "") + name + ": " + show(item);
  return text + "}";
}
template <class T>
std::string type_name(const Named<T>&) {
  return "dict[str, " + std::string(type_name(T{})) + "]";
}

/// An options struct inside another: its options stand in a mapping of their own.
template <class T>
concept Described = requires(T options, Fields& fields) {
  options.describe(fields);
};

template <class T>
void Fields::operator()(const char* name, T& member, const char* doc) {
  if constexpr (Described<T>) {
    const Node* nested = enter(name, {name, "dict", "{}", doc, false, "", {}});
    if (nested == nullptr) {
      if (node_ != nullptr) return;
      Fields inner;
      member.describe(inner);
      docs_.back().fields = inner.docs_;
      return;
    }
    Fields fields(*nested, owner_, path_.empty() ? name : path_ + "." + name);
    member.describe(fields);
    fields.finish();
  } else {
    bind_value(name, member, doc);
  }
}

template <class T>
void Fields::bind_value(const char* name, T& member, const char* doc) {
  const Node* value = enter(name, {name, type_name(member), show(member), doc, false, "", {}});
  if (value != nullptr && !read(*value, member)) wrong_type(name, *value, type_name(member));
}

template <class T>
void Fields::required(const char* name, T& member, const char* doc) {
  const Node* value = enter(name, {name, type_name(member), "", doc, true, "", {}});
  if (value != nullptr && !read(*value, member)) wrong_type(name, *value, type_name(member));
}

}  // namespace polyphony::config
