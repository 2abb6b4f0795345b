#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace polyphony::config {

/// Where a value was written: a file and line, or the text of a command-line override.
struct Mark {
  std::shared_ptr<const std::string> source;  ///< file path or "override KEY=VALUE"; may be null
  int line = 0;                               ///< from 1; 0 where lines have no meaning

  /// "FILE:LINE", or just the source, or "" where unknown.
  std::string text() const;
};

class Node;

/// Where the string keys of a large mapping stand. Kept beside the entries, so a copy begins empty.
class KeyIndex {
 public:
  using Positions = std::unordered_map<std::string, std::size_t>;
  KeyIndex() = default;
  KeyIndex(const KeyIndex&) {}
  KeyIndex(KeyIndex&&) = default;
  KeyIndex& operator=(const KeyIndex&) {
    positions_.reset();
    return *this;
  }
  KeyIndex& operator=(KeyIndex&&) = default;
  void start() { positions_ = std::make_unique<Positions>(); }
  void drop() { positions_.reset(); }
  void add(const Node& key, std::size_t position);
  const Positions* positions() const { return positions_.get(); }

 private:
  std::unique_ptr<Positions> positions_;
};

/// A configuration value: what OmegaConf's containers and nodes are, as a plain value type.
/// Mappings keep insertion order. "???" is the string that OmegaConf treats as missing.
class Node {
 public:
  enum class Kind { kNull, kBool, kInt, kFloat, kString, kList, kMap };
  using Item = std::pair<Node, Node>;  // key (any scalar), value

  Node() = default;
  Node(bool value) : kind_(Kind::kBool), bool_(value) {}
  Node(std::int64_t value) : kind_(Kind::kInt), int_(value) {}
  Node(int value) : Node(std::int64_t{value}) {}
  Node(double value) : kind_(Kind::kFloat), float_(value) {}
  Node(std::string value) : kind_(Kind::kString), text_(std::move(value)) {}
  Node(const char* value) : Node(std::string(value)) {}
  static Node list(std::vector<Node> items = {});
  static Node map();
  /// An integer beyond 64 bits, kept as its decimal digits.
  static Node big_int(std::string digits);
  /// YAML's !!binary: bytes, no text.
  static Node bytes(std::string content);

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_map() const { return kind_ == Kind::kMap; }
  bool is_list() const { return kind_ == Kind::kList; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_bytes() const { return is_string() && bytes_; }
  bool is_scalar() const { return !is_map() && !is_list(); }
  /// True for "???".
  bool is_missing() const { return is_string() && text_ == "???" && !bytes_; }

  bool as_bool() const { return bool_; }
  std::int64_t as_int() const { return int_; }
  double as_float() const { return kind_ == Kind::kInt ? static_cast<double>(int_) : float_; }
  /// The text of a string, or the digits of a big_int.
  const std::string& as_string() const { return text_; }
  bool is_big_int() const { return kind_ == Kind::kInt && !text_.empty(); }

  const std::vector<Node>& items() const { return list_; }
  std::vector<Node>& items() { return list_; }
  const std::vector<Item>& entries() const { return map_; }
  /// For changing values, or keys; to add a key, append() is quicker.
  std::vector<Item>& entries() {
    index_.drop();
    return map_;
  }
  /// Adds an entry at the end; the key must be new.
  Node& append(Node key, Node value);

  /// The value of a string key; null pointer where absent or where this is no mapping.
  const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
  /// The value at a dotted path ("trainer.max_epochs", "a.0.b"); null pointer where absent.
  const Node* select(std::string_view path) const;
  /// Sets a string key, in place where it exists, else at the end.
  Node& set(std::string_view key, Node value);
  bool erase(std::string_view key);

  const Mark& mark() const { return mark_; }
  void set_mark(Mark mark) { mark_ = std::move(mark); }
  /// The quote a command-line string was written in: '\'', '"', or 0 for none.
  char quote() const { return quote_; }
  void set_quote(char quote) { quote_ = quote; }

  bool operator==(const Node& other) const;  // marks do not count; 1 and 1.0 differ

  /// "null", "bool", "int", "float", "str", "list", "dict".
  static const char* kind_name(Kind kind);

 private:
  void make_index();

  Kind kind_ = Kind::kNull;
  bool bool_ = false;
  bool bytes_ = false;
  char quote_ = 0;
  std::int64_t int_ = 0;
  double float_ = 0;
  std::string text_;
  std::vector<Node> list_;
  std::vector<Item> map_;
  KeyIndex index_;  // made by append() alone: reading a node from many threads stays safe
  Mark mark_;
};

/// Python's idea of equal scalars: 1, 1.0 and True are one dictionary key.
bool same_key(const Node& a, const Node& b);
/// Python's ==, which lets numbers and booleans of different kinds be equal; mappings in any order.
bool python_equal(const Node& a, const Node& b);

}  // namespace polyphony::config
