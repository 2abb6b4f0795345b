#include <polyphony/config/yaml/node.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace polyphony::config {
namespace {

/// From this many entries on, keys are found through an index.
constexpr std::size_t kIndexed = 24;

}  // namespace

std::string Mark::text() const {
  if (!source) return "";
  return line > 0 ? *source + ":" + std::to_string(line) : *source;
}

Node Node::list(std::vector<Node> items) {
  Node node;
  node.kind_ = Kind::kList;
  node.list_ = std::move(items);
  return node;
}

Node Node::map() {
  Node node;
  node.kind_ = Kind::kMap;
  return node;
}

Node Node::big_int(std::string digits) {
  Node node;
  node.kind_ = Kind::kInt;
  node.text_ = std::move(digits);
  return node;
}

Node Node::bytes(std::string content) {
  Node node(std::move(content));
  node.bytes_ = true;
  return node;
}

const Node* Node::find(std::string_view key) const {
  if (const auto* positions = index_.positions()) {
    const auto found = positions->find(std::string(key));
    return found == positions->end() ? nullptr : &map_[found->second].second;
  }
  for (const auto& [name, value] : map_) {
    if (name.is_string() && name.text_ == key) return &value;
  }
  return nullptr;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

const Node* Node::select(std::string_view path) const {
  const Node* node = this;
  while (node != nullptr && !path.empty()) {
    const std::size_t dot = path.find('.');
    const std::string_view head = path.substr(0, dot);
    path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
    if (node->is_list()) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(head.data(), head.data() + head.size(), index);
      const bool whole = error == std::errc{} && end == head.data() + head.size();
      node = whole && index < node->list_.size() ? &node->list_[index] : nullptr;
    } else {
      node = node->find(head);
    }
  }
  return node;
}

Node& Node::set(std::string_view key, Node value) {
  kind_ = Kind::kMap;
  if (Node* old = find(key)) return *old = std::move(value);
  return append(Node(std::string(key)), std::move(value));
}

Node& Node::append(Node key, Node value) {
  map_.emplace_back(std::move(key), std::move(value));
  if (index_.positions() == nullptr && map_.size() >= kIndexed) {
    make_index();
  } else {
    index_.add(map_.back().first, map_.size() - 1);
  }
  return map_.back().second;
}

bool Node::erase(std::string_view key) {
  const bool indexed = index_.positions() != nullptr;
  index_.drop();
  const bool found = std::erase_if(map_, [&](const Item& item) {
                       return item.first.is_string() && item.first.text_ == key;
                     }) > 0;
  if (indexed) make_index();
  return found;
}

void Node::make_index() {
  index_.start();
  for (std::size_t i = 0; i < map_.size(); ++i) index_.add(map_[i].first, i);
}

void KeyIndex::add(const Node& key, std::size_t position) {
  if (positions_ && key.is_string()) positions_->emplace(key.as_string(), position);
}

bool Node::operator==(const Node& other) const {
  if (kind_ != other.kind_) return false;
  switch (kind_) {
    case Kind::kNull:
      return true;
    case Kind::kBool:
      return bool_ == other.bool_;
    case Kind::kInt:
      return int_ == other.int_ && text_ == other.text_;
    case Kind::kFloat:
      return float_ == other.float_ || (std::isnan(float_) && std::isnan(other.float_));
    case Kind::kString:
      return text_ == other.text_ && bytes_ == other.bytes_;
    case Kind::kList:
      return list_ == other.list_;
    case Kind::kMap:
      return map_ == other.map_;
  }
  return false;
}

const char* Node::kind_name(Kind kind) {
  static constexpr const char* kNames[] = {"null", "bool", "int", "float", "str", "list", "dict"};
  return kNames[static_cast<int>(kind)];
}

bool same_key(const Node& a, const Node& b) {
  if (a.is_string() || b.is_string() || a.is_null() || b.is_null()) return a == b;
  return python_equal(a, b);
}

bool python_equal(const Node& a, const Node& b) {
  const auto is_number = [](const Node& node) {
    return node.kind() == Node::Kind::kBool || node.kind() == Node::Kind::kInt ||
           node.kind() == Node::Kind::kFloat;
  };
  if (is_number(a) && is_number(b)) {
    if (a.is_big_int() || b.is_big_int()) return a == b;
    const auto value = [](const Node& node) {
      return node.kind() == Node::Kind::kBool ? static_cast<double>(node.as_bool())
                                              : node.as_float();
    };
    if (a.kind() == Node::Kind::kInt && b.kind() == Node::Kind::kInt) {
      return a.as_int() == b.as_int();
    }
    return value(a) == value(b);
  }
  if (a.is_list() && b.is_list()) {
    return std::equal(a.items().begin(), a.items().end(), b.items().begin(), b.items().end(),
                      python_equal);
  }
  if (a.is_map() && b.is_map()) {
    return a.entries().size() == b.entries().size() &&
           std::all_of(a.entries().begin(), a.entries().end(), [&](const Node::Item& item) {
             return std::any_of(b.entries().begin(), b.entries().end(),
                                [&](const Node::Item& other) {
                                  return same_key(item.first, other.first) &&
                                         python_equal(item.second, other.second);
                                });
           });
  }
  return a == b;
}

}  // namespace polyphony::config
