#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// A place in a YAML text.
struct YamlPlace {
  std::size_t index = 0;  ///< in characters
  int line = 0;           ///< from 0
  int column = 0;         ///< from 0, in characters
};

struct YamlToken {
  enum class Kind {
    kStreamEnd,
    kDirective,
    kDocumentStart,
    kDocumentEnd,
    kBlockSequenceStart,
    kBlockMappingStart,
    kBlockEnd,
    kFlowSequenceStart,
    kFlowMappingStart,
    kFlowSequenceEnd,
    kFlowMappingEnd,
    kBlockEntry,
    kFlowEntry,
    kKey,
    kValue,
    kAlias,
    kAnchor,
    kTag,
    kScalar,
  };
  Kind kind;
  YamlPlace place;
  std::string text = {};    ///< of a scalar, anchor, alias; suffix of a tag; name of a directive
  std::string handle = {};  ///< of a tag ("!", "!!", "!x!", "" for a whole one) or directive
  bool plain = false;       ///< a scalar without quotes
};

/// Splits a YAML text into tokens, as PyYAML's scanner does: YAML 1.1, with PyYAML's own leniency.
/// @throws ComposeError (ScannerError) with file and line
class YamlScanner {
 public:
  /// @param text    UTF-8 with '\n' line ends, outliving the scanner
  YamlScanner(std::string_view text, std::shared_ptr<const std::string> source);

  const YamlToken& peek();
  YamlToken take();
  bool next_is(YamlToken::Kind kind) { return peek().kind == kind; }

 private:
  using Kind = YamlToken::Kind;
  struct SimpleKey {
    int level;
    std::size_t token_number;
    bool required;
    YamlPlace place;
  };

  [[noreturn]] void fail(const std::string& why) const { fail(why, place()); }
  [[noreturn]] void fail(const std::string& why, const YamlPlace& where) const;
  [[noreturn]] void unexpected(const std::string& wanted) const;

  // the text, character by character
  char at(std::size_t offset = 0) const {
    return pos_ + offset < text_.size() ? text_[pos_ + offset] : '\0';
  }
  bool ends(std::size_t offset = 0) const { return pos_ + offset >= text_.size(); }
  std::size_t break_size(std::size_t offset = 0) const {
    const char c = at(offset);
    return c >= ' ' && c < '\x7F' ? 0 : rare_break_size(offset);
  }
  std::size_t rare_break_size(std::size_t offset) const;
  bool is_blank_or_end(std::size_t offset) const;  // "\0 \t" and line breaks
  bool is_break_or_end(std::size_t offset = 0) const;
  bool is_space_or_end(std::size_t offset = 0) const;  // the same without the tab
  void skip(std::size_t bytes);
  void skip_spaces() {
    while (at() == ' ') skip(1);
  }
  YamlPlace place() const { return {index_, line_, column_}; }
  std::string scan_line_break();
  bool at_document_mark() const;

  // what may come next
  bool need_more_tokens();
  void fetch_more_tokens();
  void remove_stale_keys();
  void save_simple_key();
  void remove_simple_key();
  void unwind_indent(int column);
  bool add_indent(int column);
  bool can_start_plain() const;

  void fetch_stream_end();
  void fetch_directive();
  void fetch_document_mark(Kind kind);
  void fetch_flow_start(Kind kind);
  void fetch_flow_end(Kind kind);
  void fetch_flow_entry();
  void fetch_block_entry();
  void fetch_key();
  void fetch_value();
  void fetch_simple(YamlToken token);

  void scan_to_next_token();
  YamlToken scan_directive();
  void scan_ignored_line(const char* what);
  YamlToken scan_anchor(Kind kind);
  YamlToken scan_tag();
  std::string scan_tag_handle();
  std::string scan_tag_uri();
  // yaml_scalars.cpp
  YamlToken scan_plain();
  bool scan_plain_spaces(std::string& spaces);
  YamlToken scan_quoted(char quote);
  void scan_quoted_text(char quote, std::string& out);
  void scan_quoted_spaces(std::string& out);
  std::string scan_quoted_breaks();
  void scan_escape(std::string& out);
  YamlToken scan_block(char style);
  std::string scan_block_breaks(int indent);

  std::string_view text_;
  std::shared_ptr<const std::string> source_;
  std::size_t pos_ = 0;
  std::size_t index_ = 0;
  int line_ = 0;
  int column_ = 0;

  bool done_ = false;
  int flow_level_ = 0;
  std::deque<YamlToken> tokens_;
  std::size_t taken_ = 0;
  int indent_ = -1;
  std::vector<int> indents_;
  bool allow_simple_key_ = true;
  std::vector<SimpleKey> simple_keys_;  // at most one a flow level, outer ones first
};

}  // namespace polyphony::config
