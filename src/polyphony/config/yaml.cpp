#include <polyphony/config/yaml.h>

#include <map>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <polyphony/base/files.h>
#include <polyphony/config/errors.h>
#include <polyphony/config/scalars.h>

namespace polyphony::config {
namespace {

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

/// Builds nodes from yaml-cpp's events. yaml-cpp knows structure and quoting; typing is ours.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(const std::string& source)
      : source_(std::make_shared<const std::string>(source)) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(marked(Node(), mark), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw ComposeError("ComposerError", "an alias stands inside its own anchor",
                         "write the value out instead", "", place(mark));
    }
    add(found->second, 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    try {
      const bool merge = tag == "?" && value == "<<" && expects_key();
      add(marked(merge ? Node("<<") : scalar(tag, value, mark), mark), anchor, merge);
    } catch (const ComposeError& error) {
      if (error.line() > 0) throw;
      throw ComposeError(error.original_class(), error.what(), error.remedy(), "", place(mark));
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check_collection_tag(tag, "seq", mark);
    open_.push_back({marked(Node::list(), mark), anchor, {}, false, {}, false});
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check_collection_tag(tag, "map", mark);
    open_.push_back({marked(Node::map(), mark), anchor, {}, false, {}, false});
  }
  void OnMapEnd() override {
    Frame& frame = open_.back();
    // Merged keys come first and give way to the mapping's own.
    if (!frame.merged.empty()) {
      Node whole = Node::map();
      whole.set_mark(frame.node.mark());
      for (auto it = frame.merged.rbegin(); it != frame.merged.rend(); ++it) put_all(whole, *it);
      put_all(whole, frame.node);
      frame.node = std::move(whole);
    }
    close();
  }

  Node take() { return std::move(root_); }
  Mark place(const YAML::Mark& mark) const { return {source_, mark.line + 1}; }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor;
    Node key;
    bool has_key;
    std::vector<Node> merged;
    bool merging;
  };

  bool expects_key() const {
    return !open_.empty() && open_.back().node.is_map() && !open_.back().has_key;
  }
  Node marked(Node node, const YAML::Mark& mark) const {
    node.set_mark(place(mark));
    return node;
  }
  static void put(Node& map, const Node& key, Node value) {
    for (auto& [name, old] : map.entries()) {
      if (name == key) {
        old = std::move(value);
        return;
      }
    }
    map.entries().emplace_back(key, std::move(value));
  }
  static void put_all(Node& map, const Node& from) {
    for (const auto& [key, value] : from.entries()) put(map, key, value);
  }
  void check_collection_tag(const std::string& tag, std::string_view want, const YAML::Mark& mark) {
    if (tag.empty() || tag == "?" || tag == "!" ||
        tag == std::string(kTagPrefix) + std::string(want))
      return;
    unknown_tag(tag, mark);
  }
  [[noreturn]] void unknown_tag(const std::string& tag, const YAML::Mark& mark) const {
    throw ComposeError("ConstructorError", fmt::format("tag '{}' is not understood", tag),
                       "remove the tag; str, int, float, bool, null are known", "", place(mark));
  }
  Node scalar(const std::string& tag, const std::string& value, const YAML::Mark& mark) const {
    if (tag == "!" || tag == std::string(kTagPrefix) + "str") return Node(value);
    if (tag == "?" || tag.empty()) {
      if (value == "=" || (value == "<<" && !expects_key())) unknown_tag(value, mark);
      return type_plain_scalar(value);
    }
    if (!tag.starts_with(kTagPrefix)) unknown_tag(tag, mark);
    return tagged(tag.substr(kTagPrefix.size()), value, mark);
  }
  Node tagged(const std::string& type, const std::string& value, const YAML::Mark& mark) const {
    const Node plain = type_plain_scalar(value);
    if (type == "null") return Node();
    if (type == "bool") {
      const std::string low = lower(value);
      if (low == "yes" || low == "true" || low == "on") return Node(true);
      if (low == "no" || low == "false" || low == "off") return Node(false);
      throw ComposeError("KeyError", fmt::format("'{}' is no bool", value), "", "", place(mark));
    }
    if (type == "int" && plain.kind() == Node::Kind::kInt) return plain;
    if (type == "float") {
      if (plain.kind() == Node::Kind::kFloat) return plain;
      if (const auto number = python_float(value)) return Node(*number);
    }
    if (type == "int" || type == "float") {
      throw ComposeError("ValueError", fmt::format("'{}' is no {}", value, type), "", "",
                         place(mark));
    }
    unknown_tag(std::string(kTagPrefix) + type, mark);
  }
  void merge(Frame& frame, Node value) {
    const bool list = value.is_list();
    std::vector<Node> sources = list ? value.items() : std::vector<Node>{value};
    for (Node& source : sources) {
      if (!source.is_map()) {
        throw ComposeError("ConstructorError", "<< takes a mapping or a list of mappings", "", "<<",
                           value.mark());
      }
      frame.merged.push_back(std::move(source));
    }
  }
  void add(Node node, YAML::anchor_t anchor, bool is_merge = false) {
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = open_.back();
    if (frame.node.is_list()) {
      frame.node.items().push_back(std::move(node));
    } else if (!frame.has_key) {
      check_key(frame, node);
      frame.key = std::move(node);
      frame.has_key = true;
      frame.merging = is_merge;
    } else {
      frame.has_key = false;
      if (frame.merging) {
        merge(frame, std::move(node));
      } else {
        put(frame.node, frame.key, std::move(node));
      }
    }
  }
  static void check_key(const Frame& frame, const Node& key) {
    if (!key.is_scalar()) {
      throw ComposeError("ConstructorError", "a key must be a scalar, not a list or mapping", "",
                         "", key.mark());
    }
    const Node* old = key.is_string() ? frame.node.find(key.as_string()) : nullptr;
    if (old == nullptr) return;
    throw ComposeError("ConstructorError", fmt::format("found duplicate key {}", key.as_string()),
                       fmt::format("keep one of them; the first stands at {}", old->mark().text()),
                       key.as_string(), key.mark());
  }
  void close() {
    Frame frame = std::move(open_.back());
    open_.pop_back();
    add(std::move(frame.node), frame.anchor);
  }

  std::shared_ptr<const std::string> source_;
  std::vector<Frame> open_;
  std::map<YAML::anchor_t, Node> anchors_;
  Node root_;
};

}  // namespace

Node parse_yaml(std::string_view text, const std::string& source) {
  Builder builder(source);
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    Node root = builder.take();
    Builder rest(source);
    if (parser.HandleNextDocument(rest)) {
      throw ComposeError("ComposerError", "more than one YAML document in the file",
                         "remove the second '---'", "", {root.mark().source, 0});
    }
    return root;
  } catch (const YAML::Exception& error) {
    const bool lexical = error.msg.find("token") != std::string::npos ||
                         error.msg.find("character") != std::string::npos ||
                         error.msg.starts_with("illegal ") ||
                         error.msg.starts_with("anchor not found after &");
    throw ComposeError(lexical ? "ScannerError" : "ParserError", "YAML: " + error.msg,
                       "check quoting, indentation and brackets near this line", "",
                       builder.place(error.mark));
  }
}

Node load_yaml(const std::filesystem::path& path) {
  return parse_yaml(read_file(path), path.string());
}

}  // namespace polyphony::config
