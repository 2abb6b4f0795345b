#include <polyphony/config/yaml/yaml_scanner.h>

#include <fmt/format.h>

#include <polyphony/base/utf8.h>
#include <polyphony/config/yaml/errors.h>

namespace polyphony::config {
namespace {

constexpr std::size_t kMaxSimpleKey = 1024;

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
         c == '_';
}
bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}
int hex_value(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

}  // namespace

YamlScanner::YamlScanner(std::string_view text, std::shared_ptr<const std::string> source)
    : text_(text), source_(std::move(source)) {}

const YamlToken& YamlScanner::peek() {
  while (need_more_tokens()) fetch_more_tokens();
  return tokens_.front();
}

YamlToken YamlScanner::take() {
  peek();
  YamlToken token = std::move(tokens_.front());
  tokens_.pop_front();
  ++taken_;
  return token;
}

void YamlScanner::fail(const std::string& why, const YamlPlace& where) const {
  throw ComposeError("ScannerError", fmt::format("YAML: column {}: {}", where.column + 1, why),
                     "check quoting, indentation and brackets near this line", "",
                     {source_, where.line + 1});
}

void YamlScanner::unexpected(const std::string& wanted) const {
  if (ends()) fail(wanted + ", but the text ends");
  std::size_t size = 1;
  while ((static_cast<unsigned char>(at(size)) & 0xC0) == 0x80) ++size;
  fail(fmt::format("{}, but found '{}'", wanted, text_.substr(pos_, size)));
}

std::size_t YamlScanner::rare_break_size(std::size_t offset) const {
  const std::string_view rest = text_.substr(std::min(pos_ + offset, text_.size()));
  if (rest.empty()) return 0;
  if (rest[0] == '\n') return 1;
  if (rest[0] == '\r') return rest.starts_with("\r\n") ? 2 : 1;
  if (rest.starts_with("\xC2\x85")) return 2;
  return rest.starts_with("\xE2\x80\xA8") || rest.starts_with("\xE2\x80\xA9") ? 3 : 0;
}

bool YamlScanner::is_blank_or_end(std::size_t offset) const {
  return is_space_or_end(offset) || at(offset) == '\t';
}
bool YamlScanner::is_space_or_end(std::size_t offset) const {
  return is_break_or_end(offset) || at(offset) == ' ';
}
bool YamlScanner::is_break_or_end(std::size_t offset) const {
  return ends(offset) || break_size(offset) > 0;
}

void YamlScanner::skip(std::size_t bytes) {
  const std::size_t end = std::min(pos_ + bytes, text_.size());
  while (pos_ < end) {
    if (const std::size_t size = break_size()) {
      pos_ += size;
      index_ += size == 2 && text_[pos_ - 1] == '\n' ? 2 : 1;
      ++line_;
      column_ = 0;
      continue;
    }
    if (text_.substr(pos_, 3) == "\xEF\xBB\xBF") {  // a byte order mark takes no column
      pos_ += 3;
      ++index_;
      continue;
    }
    const bool continues = (static_cast<unsigned char>(text_[pos_]) & 0xC0) == 0x80;
    ++pos_;
    if (continues) continue;
    ++index_;
    ++column_;
  }
}

/// The line break at hand as the text keeps it, moved past; "" where there is none.
std::string YamlScanner::scan_line_break() {
  const std::size_t size = break_size();
  if (size == 0) return "";
  std::string out = size == 3 ? std::string(text_.substr(pos_, 3)) : "\n";
  skip(size);
  return out;
}

/// "---" or "..." with a blank after it.
bool YamlScanner::at_document_mark() const {
  const std::string_view prefix = text_.substr(pos_, 3);
  return (prefix == "---" || prefix == "...") && is_blank_or_end(3);
}

bool YamlScanner::need_more_tokens() {
  if (done_) return false;
  if (tokens_.empty()) return true;
  remove_stale_keys();
  std::size_t next = taken_ + tokens_.size();
  for (const SimpleKey& key : simple_keys_) next = std::min(next, key.token_number);
  return next == taken_;
}

void YamlScanner::fetch_more_tokens() {
  scan_to_next_token();
  remove_stale_keys();
  unwind_indent(column_);
  if (ends()) return fetch_stream_end();
  const char c = at();
  if (column_ == 0 && c == '%') return fetch_directive();
  if (column_ == 0 && at_document_mark()) {
    return fetch_document_mark(c == '-' ? Kind::kDocumentStart : Kind::kDocumentEnd);
  }
  const bool alone = is_blank_or_end(1);
  switch (c) {
    case '[':
      return fetch_flow_start(Kind::kFlowSequenceStart);
    case '{':
      return fetch_flow_start(Kind::kFlowMappingStart);
    case ']':
      return fetch_flow_end(Kind::kFlowSequenceEnd);
    case '}':
      return fetch_flow_end(Kind::kFlowMappingEnd);
    case ',':
      return fetch_flow_entry();
    case '-':
      if (alone) return fetch_block_entry();
      break;
    case '?':
      if (alone || flow_level_ > 0) return fetch_key();
      break;
    case ':':
      if (alone || flow_level_ > 0) return fetch_value();
      break;
    case '*':
    case '&':
      save_simple_key();
      allow_simple_key_ = false;
      return fetch_simple(scan_anchor(c == '*' ? Kind::kAlias : Kind::kAnchor));
    case '!':
      save_simple_key();
      allow_simple_key_ = false;
      return fetch_simple(scan_tag());
    case '|':
    case '>':
      if (flow_level_ > 0) break;
      allow_simple_key_ = true;
      remove_simple_key();
      return fetch_simple(scan_block(c));
    case '\'':
    case '"':
      save_simple_key();
      allow_simple_key_ = false;
      return fetch_simple(scan_quoted(c));
    default:
      break;
  }
  if (!can_start_plain()) unexpected("a token cannot start here");
  save_simple_key();
  allow_simple_key_ = false;
  fetch_simple(scan_plain());
}

bool YamlScanner::can_start_plain() const {
  const char c = at();
  if (is_blank_or_end(0)) return false;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`").find(c) == std::string_view::npos) return true;
  return !is_blank_or_end(1) && (c == '-' || (flow_level_ == 0 && (c == '?' || c == ':')));
}

void YamlScanner::remove_stale_keys() {
  std::erase_if(simple_keys_, [this](const SimpleKey& key) {
    if (key.place.line == line_ && index_ - key.place.index <= kMaxSimpleKey) return false;
    if (key.required) fail("could not find expected ':'");
    return true;
  });
}

void YamlScanner::save_simple_key() {
  const bool required = flow_level_ == 0 && indent_ == column_;
  if (!allow_simple_key_) return;
  remove_simple_key();
  simple_keys_.push_back({flow_level_, taken_ + tokens_.size(), required, place()});
}

void YamlScanner::remove_simple_key() {
  if (simple_keys_.empty() || simple_keys_.back().level != flow_level_) return;
  if (simple_keys_.back().required) fail("could not find expected ':'");
  simple_keys_.pop_back();
}

void YamlScanner::unwind_indent(int column) {
  if (flow_level_ > 0) return;
  while (indent_ > column) {
    indent_ = indents_.back();
    indents_.pop_back();
    tokens_.push_back({Kind::kBlockEnd, place()});
  }
}

bool YamlScanner::add_indent(int column) {
  if (indent_ >= column) return false;
  indents_.push_back(indent_);
  indent_ = column;
  return true;
}

void YamlScanner::fetch_stream_end() {
  unwind_indent(-1);
  remove_simple_key();
  allow_simple_key_ = false;
  simple_keys_.clear();
  tokens_.push_back({Kind::kStreamEnd, place()});
  done_ = true;
}

void YamlScanner::fetch_directive() {
  unwind_indent(-1);
  remove_simple_key();
  allow_simple_key_ = false;
  tokens_.push_back(scan_directive());
}

void YamlScanner::fetch_document_mark(Kind kind) {
  unwind_indent(-1);
  remove_simple_key();
  allow_simple_key_ = false;
  tokens_.push_back({kind, place()});
  skip(3);
}

void YamlScanner::fetch_flow_start(Kind kind) {
  save_simple_key();
  ++flow_level_;
  allow_simple_key_ = true;
  tokens_.push_back({kind, place()});
  skip(1);
}

void YamlScanner::fetch_flow_end(Kind kind) {
  remove_simple_key();
  --flow_level_;
  allow_simple_key_ = false;
  tokens_.push_back({kind, place()});
  skip(1);
}

void YamlScanner::fetch_flow_entry() {
  allow_simple_key_ = true;
  remove_simple_key();
  tokens_.push_back({Kind::kFlowEntry, place()});
  skip(1);
}

void YamlScanner::fetch_block_entry() {
  if (flow_level_ == 0) {
    if (!allow_simple_key_) fail("sequence entries are not allowed here");
    if (add_indent(column_)) tokens_.push_back({Kind::kBlockSequenceStart, place()});
  }
  allow_simple_key_ = true;
  remove_simple_key();
  tokens_.push_back({Kind::kBlockEntry, place()});
  skip(1);
}

void YamlScanner::fetch_key() {
  if (flow_level_ == 0) {
    if (!allow_simple_key_) fail("mapping keys are not allowed here");
    if (add_indent(column_)) tokens_.push_back({Kind::kBlockMappingStart, place()});
  }
  allow_simple_key_ = flow_level_ == 0;
  remove_simple_key();
  tokens_.push_back({Kind::kKey, place()});
  skip(1);
}

void YamlScanner::fetch_value() {
  if (!simple_keys_.empty() && simple_keys_.back().level == flow_level_) {
    const SimpleKey key = simple_keys_.back();
    simple_keys_.pop_back();
    const auto before = tokens_.begin() + static_cast<std::ptrdiff_t>(key.token_number - taken_);
    const auto at_key = tokens_.insert(before, {Kind::kKey, key.place});
    if (flow_level_ == 0 && add_indent(key.place.column)) {
      tokens_.insert(at_key, {Kind::kBlockMappingStart, key.place});
    }
    allow_simple_key_ = false;
  } else {
    if (flow_level_ == 0) {
      if (!allow_simple_key_) fail("mapping values are not allowed here");
      if (add_indent(column_)) tokens_.push_back({Kind::kBlockMappingStart, place()});
    }
    allow_simple_key_ = flow_level_ == 0;
    remove_simple_key();
  }
  tokens_.push_back({Kind::kValue, place()});
  skip(1);
}

void YamlScanner::fetch_simple(YamlToken token) { tokens_.push_back(std::move(token)); }

/// Spaces, comments and line breaks; a tab is no space here.
void YamlScanner::scan_to_next_token() {
  if (pos_ == 0 && text_.starts_with("\xEF\xBB\xBF")) skip(3);
  while (true) {
    skip_spaces();
    if (at() == '#') {
      while (!is_break_or_end()) skip(1);
    }
    if (break_size() == 0) return;
    scan_line_break();
    if (flow_level_ == 0) allow_simple_key_ = true;
  }
}

void YamlScanner::scan_ignored_line(const char* what) {
  skip_spaces();
  if (at() == '#') {
    while (!is_break_or_end()) skip(1);
  }
  if (!is_break_or_end()) unexpected(std::string(what) + ": expected a comment or a line break");
  scan_line_break();
}

YamlToken YamlScanner::scan_directive() {
  YamlToken token{Kind::kDirective, place()};
  skip(1);
  while (is_word(at())) {
    token.text += at();
    skip(1);
  }
  if (token.text.empty() || !is_space_or_end()) unexpected("a directive wants a name");
  if (token.text == "YAML") {
    skip_spaces();
    const auto number = [this, &token] {
      if (at() < '0' || at() > '9') unexpected("the YAML directive wants a version");
      for (; at() >= '0' && at() <= '9'; skip(1)) token.handle += at();
    };
    number();
    if (at() != '.') unexpected("the YAML directive wants a version");
    token.handle += '.';
    skip(1);
    number();
    if (!is_space_or_end()) unexpected("the YAML directive wants a version");
  } else if (token.text == "TAG") {
    skip_spaces();
    token.handle = scan_tag_handle();
    if (at() != ' ') unexpected("the TAG directive wants a blank");
    skip_spaces();
    token.handle += '\n' + scan_tag_uri();
    if (!is_space_or_end()) unexpected("the TAG directive ends here");
  } else {
    while (!is_break_or_end()) skip(1);
  }
  scan_ignored_line("a directive");
  return token;
}

YamlToken YamlScanner::scan_anchor(Kind kind) {
  YamlToken token{kind, place()};
  skip(1);
  while (is_word(at())) {
    token.text += at();
    skip(1);
  }
  const bool good_end =
      is_blank_or_end(0) || std::string_view("?:,]}%@`").find(at()) != std::string_view::npos;
  if (token.text.empty() || !good_end) {
    unexpected("an anchor's name is made of letters, digits, '-' and '_'");
  }
  return token;
}

YamlToken YamlScanner::scan_tag() {
  YamlToken token{Kind::kTag, place()};
  if (at(1) == '<') {
    skip(2);
    token.text = scan_tag_uri();
    if (at() != '>') unexpected("a tag wants '>'");
    skip(1);
  } else if (is_blank_or_end(1)) {
    token.text = "!";
    skip(1);
  } else {
    bool has_handle = false;
    for (std::size_t length = 1; !is_space_or_end(length) && !has_handle; ++length) {
      has_handle = at(length) == '!';
    }
    token.handle = "!";
    if (has_handle) {
      token.handle = scan_tag_handle();
    } else {
      skip(1);
    }
    token.text = scan_tag_uri();
  }
  if (!is_space_or_end()) unexpected("a tag ends with a blank");
  return token;
}

std::string YamlScanner::scan_tag_handle() {
  if (at() != '!') unexpected("a tag begins with '!'");
  std::size_t length = 1;
  if (at(1) != ' ') {
    while (is_word(at(length))) ++length;
    if (at(length) != '!') {
      skip(length);
      unexpected("a tag's handle ends with '!'");
    }
    ++length;
  }
  std::string out(text_.substr(pos_, length));
  skip(length);
  return out;
}

std::string YamlScanner::scan_tag_uri() {
  std::string out;
  while (is_word(at()) || (!ends() && std::string_view(";/?:@&=+$,.!~*'()[]%").find(at()) !=
                                          std::string_view::npos)) {
    if (at() != '%') {
      out += at();
      skip(1);
      continue;
    }
    if (!is_hex(at(1)) || !is_hex(at(2))) unexpected("a tag's '%' wants two hexadecimal digits");
    out += static_cast<char>(hex_value(at(1)) * 16 + hex_value(at(2)));
    skip(3);
  }
  if (out.empty()) unexpected("a tag wants a name");
  if (decode_utf8(out).find(U'\xFFFD') != std::u32string::npos) fail("a tag's '%' is no UTF-8");
  return out;
}

}  // namespace polyphony::config
