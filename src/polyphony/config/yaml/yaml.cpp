#include <polyphony/config/yaml/yaml.h>

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include <polyphony/base/base64.h>
#include <polyphony/base/files.h>
#include <polyphony/base/utf8.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/interpolation_grammar.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/config/yaml/yaml_tree.h>

namespace polyphony::config {
namespace {

using Pointer = YamlTree::Pointer;

/// What the aliases of one document may make of it.
constexpr std::size_t kMaxNodes = 1'000'000;

/// Gives the tags of a tree their meaning, as PyYAML's safe loader and OmegaConf do.
class Construction {
 public:
  explicit Construction(std::shared_ptr<const std::string> source) : source_(std::move(source)) {}

  Node node(const YamlTree& tree) {
    if (++made_ > kMaxNodes) fail("ConstructorError", tree, "the aliases make too many values");
    if (open_.contains(&tree)) fail("RecursionError", tree, "an alias stands inside its anchor");
    if (tree.kind == YamlTree::Kind::kScalar) {  // nothing can be open inside
      Node out = tagged(tree);
      out.set_mark(place(tree));
      return out;
    }
    open_.insert(&tree);
    Node out = tagged(tree);
    open_.erase(&tree);
    out.set_mark(place(tree));
    return out;
  }

 private:
  Mark place(const YamlTree& tree) const { return {source_, tree.line}; }
  [[noreturn]] void fail(const char* type, const YamlTree& tree, const std::string& fact,
                         const std::string& remedy = "") const {
    throw ComposeError(type, "YAML: " + fact, remedy, "", place(tree));
  }

  static bool has_tag(const YamlTree& tree, std::string_view name) {
    return !tree.foreign && tree.tag == name;
  }

  Node tagged(const YamlTree& tree) {
    if (tree.foreign) unknown_tag(tree);
    const std::string_view name = tree.tag;
    if (name == "str") return Node(scalar(tree));
    if (name == "map") return mapping(tree);
    if (name == "seq") return sequence(tree);
    if (name == "omap" || name == "pairs") return pairs(tree);
    if (name == "set" || name == "timestamp") return unsupported(tree, name);
    if (name == "null") return scalar(tree), Node();
    if (name == "bool") return boolean(tree);
    if (name == "int") return number(tree, &Construction::integer);
    if (name == "float") return number(tree, &Construction::real);
    if (name == "binary") return binary(tree);
    unknown_tag(tree);
  }

  [[noreturn]] void unknown_tag(const YamlTree& tree) const {
    const bool merge = has_tag(tree, "merge");
    fail("ConstructorError", tree,
         merge                    ? "'<<' is a key that merges, no value"
         : has_tag(tree, "value") ? "'=' alone is no value"
                                  : fmt::format("tag '{}' is not understood", tree.tag),
         merge || has_tag(tree, "value")
             ? "quote it"
             : "remove the tag; str, int, float, bool, null, binary, seq, map are known");
  }

  /// The text of a scalar; a mapping with a key "=" stands for that key's value.
  const std::string& scalar(const YamlTree& tree) const {
    for (const auto& [key, value] : tree.entries) {
      if (has_tag(*key, "value")) return scalar(*value);
    }
    if (tree.kind != YamlTree::Kind::kScalar) {
      fail("ConstructorError", tree, "expected a single value");
    }
    return tree.text;
  }

  Node boolean(const YamlTree& tree) const {
    const std::string low = lower(scalar(tree));
    if (low == "yes" || low == "true" || low == "on") return Node(true);
    if (low == "no" || low == "false" || low == "off") return Node(false);
    fail("KeyError", tree, fmt::format("'{}' is no bool", tree.text), "write true or false");
  }

  static Node integer(std::string_view text) { return yaml_integer(text); }
  static Node real(std::string_view text) { return Node(yaml_real(text)); }
  Node number(const YamlTree& tree, Node (*read)(std::string_view)) const {
    const std::string& text = scalar(tree);
    try {
      return read(text);
    } catch (const ComposeError& error) {
      throw error.at(place(tree));
    }
  }

  Node binary(const YamlTree& tree) const {
    const std::string& text = scalar(tree);
    if (!is_ascii(text)) fail("ConstructorError", tree, "!!binary wants base64 text");
    auto bytes = decode_base64(text);
    if (!bytes) fail("ConstructorError", tree, "!!binary: the base64 text is incomplete");
    return Node::bytes(*std::move(bytes));
  }

  Node sequence(const YamlTree& tree) {
    if (tree.kind != YamlTree::Kind::kSequence) {
      fail("ConstructorError", tree, "expected a sequence");
    }
    Node out = Node::list();
    out.items().reserve(tree.items.size());
    for (const Pointer& item : tree.items) out.items().push_back(node(*item));
    return out;
  }

  /// !!omap and !!pairs: a list of [key, value].
  Node pairs(const YamlTree& tree) {
    Node out = Node::list();
    if (tree.kind != YamlTree::Kind::kSequence) {
      fail("ConstructorError", tree, "expected a sequence of mappings");
    }
    for (const Pointer& item : tree.items) {
      if (item->kind != YamlTree::Kind::kMapping || item->entries.size() != 1) {
        fail("ConstructorError", *item, "expected a mapping of one key");
      }
      const auto& [key, value] = item->entries[0];
      out.items().push_back(Node::list({node(*key), node(*value)}));
    }
    return out;
  }

  Node unsupported(const YamlTree& tree, std::string_view name) {
    if (name == "set") {
      mapping(tree);
    } else {
      scalar(tree);
    }
    fail("UnsupportedValueType", tree, fmt::format("a {} is no value of a configuration", name),
         name == "set" ? "write a list" : "quote it");
  }

  Node mapping(const YamlTree& tree) {
    if (tree.kind != YamlTree::Kind::kMapping) {
      fail("ConstructorError", tree, "expected a mapping");
    }
    reject_duplicates(tree);
    Node out = Node::map();
    out.entries().reserve(tree.entries.size());
    std::vector<std::pair<Pointer, Pointer>> merged;
    collect_merges(tree, merged, 0);
    for (const auto& [key, value] : merged) put(out, *key, *value);
    for (const auto& [key, value] : tree.entries) {
      if (!has_tag(*key, "merge")) put(out, *key, *value);
    }
    return out;
  }

  void reject_duplicates(const YamlTree& tree) const {
    std::map<std::string_view, int> seen;
    for (const auto& [key, value] : tree.entries) {
      if (!has_tag(*key, "str") || key->kind != YamlTree::Kind::kScalar) continue;
      const auto [first, fresh] = seen.emplace(key->text, key->line);
      if (fresh) continue;
      throw ComposeError(
          "ConstructorError", fmt::format("YAML: found duplicate key {}", key->text),
          fmt::format("keep one of them; the first stands on line {}", first->second), key->text,
          place(*key));
    }
  }

  /// The entries that "<<" brings, those that give way first.
  void collect_merges(const YamlTree& tree, std::vector<std::pair<Pointer, Pointer>>& out,
                      int depth) {
    if (depth > 100) fail("RecursionError", tree, "'<<' merges a mapping into itself");
    const auto add = [&](const YamlTree& from) {
      if (from.kind != YamlTree::Kind::kMapping) {
        fail("ConstructorError", from, "'<<' takes a mapping or a list of mappings");
      }
      collect_merges(from, out, depth + 1);
      for (const auto& entry : from.entries) {
        if (!has_tag(*entry.first, "merge")) out.push_back(entry);
      }
      if (out.size() > kMaxNodes) fail("ConstructorError", from, "'<<' makes too many values");
    };
    for (const auto& [key, value] : tree.entries) {
      if (!has_tag(*key, "merge")) continue;
      if (value->kind != YamlTree::Kind::kSequence) {
        add(*value);
        continue;
      }
      for (auto it = value->items.rbegin(); it != value->items.rend(); ++it) add(**it);
    }
  }

  void put(Node& map, const YamlTree& key_tree, const YamlTree& value_tree) {
    if (key_tree.kind != YamlTree::Kind::kScalar) {
      fail("ConstructorError", key_tree, "a key is a single value, not a list or mapping");
    }
    Node key = has_tag(key_tree, "value") ? Node(key_tree.text) : node(key_tree);
    if (has_tag(key_tree, "value")) key.set_mark(place(key_tree));
    Node value = node(value_tree);
    if (key.is_string()) {
      if (Node* old = map.find(key.as_string())) {
        *old = std::move(value);
        return;
      }
    } else {
      for (auto& [name, old] : map.entries()) {
        if (!same_key(name, key)) continue;
        old = std::move(value);
        return;
      }
    }
    map.append(std::move(key), std::move(value));
  }

  std::shared_ptr<const std::string> source_;
  std::set<const YamlTree*> open_;
  std::size_t made_ = 0;
};

/// null is a key in YAML, but none in OmegaConf.
void reject_null_keys(const Node& node, const std::string& path) {
  std::size_t index = 0;
  for (const Node& item : node.items()) {
    if (!item.is_scalar()) reject_null_keys(item, fmt::format("{}[{}]", path, index));
    ++index;
  }
  for (const auto& [key, value] : node.entries()) {
    if (key.is_null()) {
      throw ComposeError("KeyValidationError", "null cannot be a key", "quote it", path,
                         key.mark());
    }
    if (value.is_scalar()) continue;
    reject_null_keys(value, path.empty() ? python_str(key) : path + "." + python_str(key));
  }
}

/// Line ends as Python's text files give them; refuses what is no text.
std::string clean_text(std::string_view text, const std::shared_ptr<const std::string>& source) {
  std::string out;
  out.reserve(text.size());
  int line = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\r') {
      if (i + 1 < text.size() && text[i + 1] == '\n') continue;
      out += '\n';
      ++line;
      continue;
    }
    line += c == '\n' ? 1 : 0;
    if ((c >= 0x20 && c < 0x7F) || c == '\t' || c == '\n') {
      out += text[i];
      continue;
    }
    char32_t code = c;
    std::size_t size = 1;
    if (c >= 0x80) {
      const DecodedPoint point = decode_point(text.substr(i));
      if (!point.valid) {
        throw ComposeError("UnicodeDecodeError", "YAML: the file is no UTF-8 text",
                           "save it as UTF-8", "", {source, line});
      }
      code = point.value;
      size = point.size;
    }
    const bool printable = code == 0x85 || (code >= 0xA0 && code <= 0xD7FF) ||
                           (code >= 0xE000 && code <= 0xFFFD) || code >= 0x10000;
    if (!printable) {
      throw ComposeError("ReaderError",
                         fmt::format("YAML: a character that is no text: U+{:04X}",
                                     static_cast<std::uint32_t>(code)),
                         "remove it, or write it as \"\\x..\" in double quotes", "",
                         {source, line});
    }
    out.append(text, i, size);
    i += size - 1;
  }
  return out;
}

}  // namespace

Node parse_yaml(std::string_view text, const std::string& source) {
  const auto name = std::make_shared<const std::string>(source);
  const std::string clean = clean_text(text, name);
  const YamlDocument document = compose_yaml(clean, name);
  if (!document.root) return Node();
  Node root = Construction(name).node(*document.root);
  reject_null_keys(root, "");
  if (!root.is_scalar()) check_interpolations(root);
  return root;
}

Node load_yaml(const std::filesystem::path& path) {
  return parse_yaml(read_file(path), path.string());
}

}  // namespace polyphony::config
