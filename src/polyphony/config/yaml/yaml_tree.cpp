#include <polyphony/config/yaml/yaml_tree.h>

#include <map>

#include <fmt/format.h>

#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/yaml_scanner.h>

namespace polyphony::config {
namespace {

using Token = YamlToken::Kind;
using Pointer = YamlTree::Pointer;

constexpr int kMaxDepth = 200;

/// Recursive descent over the scanner's tokens, by PyYAML's productions.
class Composer {
 public:
  Composer(std::string_view text, const std::shared_ptr<const std::string>& source)
      : scanner_(text, source), source_(source) {}

  YamlDocument document() {
    document_.root = root();
    return std::move(document_);
  }

 private:
  Pointer root() {
    const bool bare = !next_is({Token::kDirective, Token::kDocumentStart, Token::kStreamEnd});
    tags_ = {{"!", "!"}, {"!!", std::string(kYamlTag)}};
    while (!bare && scanner_.next_is(Token::kDocumentEnd)) scanner_.take();
    if (scanner_.next_is(Token::kStreamEnd)) return nullptr;
    if (!bare) {
      directives();
      if (!scanner_.next_is(Token::kDocumentStart)) fail("expected '---' after a directive");
      scanner_.take();
    }
    const bool empty = !bare && next_is({Token::kDirective, Token::kDocumentStart,
                                         Token::kDocumentEnd, Token::kStreamEnd});
    Pointer root = empty ? empty_scalar() : node(Context::kBlock);
    while (scanner_.next_is(Token::kDocumentEnd)) scanner_.take();
    if (scanner_.next_is(Token::kStreamEnd)) return root;
    const int line = scanner_.peek().place.line;
    directives();
    if (!scanner_.next_is(Token::kDocumentStart)) {
      fail("expected the end of the document, or '---'");
    }
    throw ComposeError("ComposerError", "more than one YAML document in the file",
                       "remove the second '---'", "", {source_, line + 1});
  }

  enum class Context { kFlow, kBlock, kBlockOrIndentless };

  [[noreturn]] void fail(const std::string& why) {
    const YamlPlace& place = scanner_.peek().place;
    throw ComposeError("ParserError", fmt::format("YAML: column {}: {}", place.column + 1, why),
                       "check quoting, indentation and brackets near this line", "",
                       {source_, place.line + 1});
  }
  bool next_is(std::initializer_list<Token> kinds) {
    const Token next = scanner_.peek().kind;
    for (const Token kind : kinds) {
      if (next == kind) return true;
    }
    return false;
  }

  void directives() {
    bool has_version = false;
    std::map<std::string, std::string> own;
    while (scanner_.next_is(Token::kDirective)) {
      const YamlToken& token = scanner_.peek();
      if (token.text == "YAML") {
        if (has_version) fail("the YAML directive stands twice");
        if (!token.handle.starts_with("1.")) fail("YAML of version 1.* is required");
        has_version = true;
      } else if (token.text == "TAG") {
        const std::size_t end = token.handle.find('\n');
        if (!own.emplace(token.handle.substr(0, end), token.handle.substr(end + 1)).second) {
          fail("a tag's handle is declared twice");
        }
      }
      scanner_.take();
    }
    for (auto& [handle, prefix] : own) tags_[handle] = prefix;
  }

  Pointer make(YamlTree::Kind kind, std::string_view tag, int line) {
    auto out = std::make_shared<YamlTree>();
    out->kind = kind;
    out->tag = tag;
    out->line = line + 1;
    return out;
  }
  /// A node with a tag as it was written.
  Pointer make_tagged(YamlTree::Kind kind, const std::string& written, int line) {
    const bool own = written.starts_with(kYamlTag);
    Pointer out =
        make(kind, own ? std::string_view(written).substr(kYamlTag.size()) : written, line);
    out->foreign = !own;
    return out;
  }
  Pointer empty_scalar() {
    return make(YamlTree::Kind::kScalar, "null", scanner_.peek().place.line);
  }

  Pointer alias() {
    const YamlToken token = scanner_.take();
    const auto found = anchors_.find(token.text);
    if (found != anchors_.end()) return found->second;
    throw ComposeError("ComposerError", fmt::format("found undefined alias '{}'", token.text),
                       fmt::format("define it before with &{}", token.text), "",
                       {source_, token.place.line + 1});
  }

  void define(const std::string& anchor, const Pointer& tree) {
    if (anchor.empty()) return;
    if (anchors_.emplace(anchor, tree).second) {
      document_.anchored.push_back(tree);
      return;
    }
    throw ComposeError("ComposerError", fmt::format("found duplicate anchor '{}'", anchor),
                       fmt::format("the first stands on line {}", anchors_.at(anchor)->line), "",
                       {source_, tree->line});
  }

  /// The tag as written, its handle replaced; "" where there is none.
  std::string tag() {
    const YamlToken& token = scanner_.peek();
    std::string out = token.text;
    if (!token.handle.empty()) {
      const auto prefix = tags_.find(token.handle);
      if (prefix == tags_.end()) fail(fmt::format("undefined tag handle '{}'", token.handle));
      out = prefix->second + out;
    }
    scanner_.take();
    return out;
  }

  Pointer node(Context context) {
    if (scanner_.next_is(Token::kAlias)) return alias();
    if (++depth_ > kMaxDepth) {
      throw ComposeError("RecursionError", fmt::format("YAML: nested deeper than {}", kMaxDepth),
                         "a configuration is not this deep", "",
                         {source_, scanner_.peek().place.line + 1});
    }
    const int line = scanner_.peek().place.line;
    std::string anchor, written;
    for (int i = 0; i < 2; ++i) {
      if (anchor.empty() && scanner_.next_is(Token::kAnchor)) {
        anchor = scanner_.take().text;
      } else if (written.empty() && scanner_.next_is(Token::kTag)) {
        written = tag();
      }
    }
    Pointer out = content(context, written, anchor, line);
    --depth_;
    return out;
  }

  Pointer content(Context context, const std::string& written, const std::string& anchor,
                  int line) {
    const bool no_tag = written.empty() || written == "!";
    const auto start = [&](YamlTree::Kind kind, std::string_view usual) {
      Pointer out = no_tag ? make(kind, usual, line) : make_tagged(kind, written, line);
      define(anchor, out);
      return out;
    };
    const bool block = context != Context::kFlow;
    switch (scanner_.peek().kind) {
      case Token::kBlockEntry:
        if (context != Context::kBlockOrIndentless) break;
        return indentless_sequence(start(YamlTree::Kind::kSequence, "seq"));
      case Token::kScalar: {
        YamlToken token = scanner_.take();
        Pointer out = make_tagged(YamlTree::Kind::kScalar, written, line);
        if ((token.plain && written.empty()) || written == "!") {
          out->tag = plain_scalar_tag(token.text);
          out->foreign = false;
        } else if (written.empty()) {
          out->tag = "str";
          out->foreign = false;
        }
        out->text = std::move(token.text);
        define(anchor, out);
        return out;
      }
      case Token::kFlowSequenceStart:
        return flow_sequence(start(YamlTree::Kind::kSequence, "seq"));
      case Token::kFlowMappingStart:
        return flow_mapping(start(YamlTree::Kind::kMapping, "map"));
      case Token::kBlockSequenceStart:
        if (!block) break;
        return block_sequence(start(YamlTree::Kind::kSequence, "seq"));
      case Token::kBlockMappingStart:
        if (!block) break;
        return block_mapping(start(YamlTree::Kind::kMapping, "map"));
      default:
        break;
    }
    if (anchor.empty() && written.empty()) fail("expected a value here");
    Pointer out = no_tag ? make(YamlTree::Kind::kScalar, "null", line)
                         : make_tagged(YamlTree::Kind::kScalar, written, line);
    define(anchor, out);
    return out;
  }

  Pointer block_sequence(Pointer out) {
    scanner_.take();
    while (scanner_.next_is(Token::kBlockEntry)) {
      scanner_.take();
      const bool empty = next_is({Token::kBlockEntry, Token::kBlockEnd});
      out->items.push_back(empty ? empty_scalar() : node(Context::kBlock));
    }
    if (!scanner_.next_is(Token::kBlockEnd)) fail("expected '-', or less indentation");
    scanner_.take();
    return out;
  }

  Pointer indentless_sequence(Pointer out) {
    while (scanner_.next_is(Token::kBlockEntry)) {
      scanner_.take();
      const bool empty =
          next_is({Token::kBlockEntry, Token::kKey, Token::kValue, Token::kBlockEnd});
      out->items.push_back(empty ? empty_scalar() : node(Context::kBlock));
    }
    return out;
  }

  Pointer block_mapping(Pointer out) {
    scanner_.take();
    const auto part = [this] {
      const bool empty = next_is({Token::kKey, Token::kValue, Token::kBlockEnd});
      return empty ? empty_scalar() : node(Context::kBlockOrIndentless);
    };
    while (scanner_.next_is(Token::kKey)) {
      scanner_.take();
      Pointer key = part();
      const bool has_value = scanner_.next_is(Token::kValue);
      if (has_value) scanner_.take();
      Pointer value = has_value ? part() : empty_scalar();
      out->entries.emplace_back(std::move(key), std::move(value));
    }
    if (!scanner_.next_is(Token::kBlockEnd)) fail("expected a key, or less indentation");
    scanner_.take();
    return out;
  }

  Pointer flow_sequence(Pointer out) {
    scanner_.take();
    for (bool first = true; !scanner_.next_is(Token::kFlowSequenceEnd); first = false) {
      if (!first) {
        if (!scanner_.next_is(Token::kFlowEntry)) fail("expected ',' or ']'");
        scanner_.take();
      }
      if (scanner_.next_is(Token::kKey)) {
        out->items.push_back(single_pair());
      } else if (!scanner_.next_is(Token::kFlowSequenceEnd)) {
        out->items.push_back(node(Context::kFlow));
      }
    }
    scanner_.take();
    return out;
  }

  /// "[key: value]", a mapping of one entry.
  Pointer single_pair() {
    Pointer out = make(YamlTree::Kind::kMapping, "map", scanner_.peek().place.line);
    scanner_.take();
    const bool no_key = next_is({Token::kValue, Token::kFlowEntry, Token::kFlowSequenceEnd});
    Pointer key = no_key ? empty_scalar() : node(Context::kFlow);
    Pointer value;
    if (scanner_.next_is(Token::kValue)) {
      scanner_.take();
      if (!next_is({Token::kFlowEntry, Token::kFlowSequenceEnd})) value = node(Context::kFlow);
    }
    out->entries.emplace_back(std::move(key), value ? value : empty_scalar());
    return out;
  }

  Pointer flow_mapping(Pointer out) {
    scanner_.take();
    for (bool first = true; !scanner_.next_is(Token::kFlowMappingEnd); first = false) {
      if (!first) {
        if (!scanner_.next_is(Token::kFlowEntry)) fail("expected ',' or '}'");
        scanner_.take();
      }
      if (scanner_.next_is(Token::kKey)) {
        scanner_.take();
        const bool no_key = next_is({Token::kValue, Token::kFlowEntry, Token::kFlowMappingEnd});
        Pointer key = no_key ? empty_scalar() : node(Context::kFlow);
        Pointer value;
        if (scanner_.next_is(Token::kValue)) {
          scanner_.take();
          if (!next_is({Token::kFlowEntry, Token::kFlowMappingEnd})) value = node(Context::kFlow);
        }
        out->entries.emplace_back(std::move(key), value ? value : empty_scalar());
      } else if (!scanner_.next_is(Token::kFlowMappingEnd)) {
        Pointer key = node(Context::kFlow);
        out->entries.emplace_back(std::move(key), empty_scalar());
      }
    }
    scanner_.take();
    return out;
  }

  YamlScanner scanner_;
  std::shared_ptr<const std::string> source_;
  std::map<std::string, std::string> tags_;
  std::map<std::string, Pointer> anchors_;
  YamlDocument document_;
  int depth_ = 0;
};

}  // namespace

YamlDocument::~YamlDocument() {
  for (const YamlTree::Pointer& tree : anchored) {
    tree->items.clear();
    tree->entries.clear();
  }
}

YamlDocument compose_yaml(std::string_view text, const std::shared_ptr<const std::string>& source) {
  return Composer(text, source).document();
}

}  // namespace polyphony::config
