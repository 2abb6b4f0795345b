#include <polyphony/text/post_processor.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <polyphony/base/utf8.h>
#include <polyphony/text/code_points.h>
#include <polyphony/text/normalizers.h>

namespace polyphony::text {

Blanks blanks_of(std::string_view spelling) {
  const char32_t blank = point_of_byte(' ');
  const auto is_blank = [&](char32_t c) {
    return c == blank || (classes_of(c) & kWhitespace) != 0;
  };
  Blanks blanks;
  bool leading = true;
  for (std::size_t at = 0; at < spelling.size();) {
    const Point point = point_at(spelling, at);
    at += point.size;
    if (!is_blank(point.value)) {
      leading = false;
      blanks.trailing = 0;
      continue;
    }
    constexpr std::uint16_t kMost = 0xFFFF;
    if (leading && blanks.leading < kMost) ++blanks.leading;
    if (blanks.trailing < kMost) ++blanks.trailing;
  }
  return blanks;
}

void TokenRun::clear() {
  ids.clear();
  offsets.clear();
  words.clear();
  blanks.clear();
  replaced = 0;
}

PostProcessor::PostProcessor(const JsonReader& json) { read(json); }

void PostProcessor::read(const JsonReader& json) {
  const std::string type = json.at("type").string();
  if (type == "Sequence") {
    for (const JsonReader& item : json.at("processors").items()) {
      if (item.at("type").string() == "Sequence") item.fail("a sequence within a sequence");
      read(item);
    }
    return;
  }
  if (type == "ByteLevel") {
    if (json.boolean_or("trim_offsets", true))
      trims_.push_back(json.boolean_or("add_prefix_space", true));
    return;
  }
  if (has_template_) json.fail("a second template", "keep one of them");
  has_template_ = true;
  if (type == "TemplateProcessing") return read_template(json);
  if (type == "BertProcessing") return read_around(json, false);
  if (type == "RobertaProcessing") return read_around(json, true);
  json.at("type").fail(fmt::format("no post_processor `{}` here", type),
                       "there are TemplateProcessing, BertProcessing, RobertaProcessing, "
                       "ByteLevel, Sequence");
}

void PostProcessor::read_template(const JsonReader& json) {
  const auto read_pieces = [&](const char* name) {
    Template pieces;
    for (const JsonReader& item : json.at(name).items()) {
      Piece& piece = pieces.emplace_back();
      if (const auto sequence = item.find("Sequence")) {
        const std::string id = sequence->at("id").string();
        if (id != "A" && id != "B") sequence->fail("id is neither A nor B");
        piece.run = id == "A" ? 0 : 1;
        piece.type_id = sequence->at("type_id").natural();
        continue;
      }
      const JsonReader special = item.at("SpecialToken");
      piece.type_id = special.at("type_id").natural();
      for (const JsonReader& token :
           json.at("special_tokens").at(special.at("id").string()).at("ids").items())
        piece.ids.push_back(token.natural());
    }
    return pieces;
  };
  single_ = read_pieces("single");
  pair_ = read_pieces("pair");
  for (const Piece& piece : single_) {
    if (piece.run == 1U) json.at("single").fail("asks for a second text", "use A alone");
  }
}

/// `cls` before and `sep` after each text, as BERT or as RoBERTa has them.
void PostProcessor::read_around(const JsonReader& json, bool roberta) {
  const auto id_of = [&](const char* name) { return json.at(name).item(1).natural(); };
  const std::uint32_t begin = id_of("cls"), end = id_of("sep");
  one_type_ = roberta;
  const std::uint32_t second = roberta ? 0 : 1;
  single_ = {{std::nullopt, 0, {begin}}, {0, 0, {}}, {std::nullopt, 0, {end}}};
  pair_ = single_;
  if (roberta) pair_.push_back({std::nullopt, 0, {end}});
  pair_.push_back({1, second, {}});
  pair_.push_back({std::nullopt, second, {end}});
  if (roberta && json.boolean_or("trim_offsets", true))
    trims_.push_back(json.boolean_or("add_prefix_space", true));
}

std::size_t PostProcessor::added(bool pair) const {
  std::size_t count = 0;
  for (const Piece& piece : pair ? pair_ : single_) count += piece.ids.size();
  return count;
}

Encoding PostProcessor::assemble(std::span<const TokenRun* const> runs,
                                 std::span<const std::vector<Window>> windows,
                                 bool add_special_tokens) const {
  std::array<Window, 2> chosen{};
  std::array<bool, 2> overflows{};
  for (std::size_t i = 0; i < runs.size(); ++i) chosen[i] = windows[i][0];
  const auto fill_chosen = [&] {
    return fill(runs, std::span(chosen).first(runs.size()), overflows, add_special_tokens);
  };
  Encoding encoding = fill_chosen();
  // First each further window of the first text with every one of the second, then the other way.
  for (std::size_t a = 0; a < windows[0].size(); ++a) {
    chosen[0] = windows[0][a];
    overflows[0] = a > 0;
    const std::size_t others = runs.size() > 1 ? windows[1].size() : 1;
    for (std::size_t b = a > 0 ? 0 : others; b < others; ++b) {
      if (runs.size() > 1) chosen[1] = windows[1][b];
      overflows[1] = b > 0;
      encoding.overflow.push_back(fill_chosen());
    }
  }
  chosen[0] = windows[0][0];
  overflows[0] = false;
  for (std::size_t b = 1; runs.size() > 1 && b < windows[1].size(); ++b) {
    chosen[1] = windows[1][b];
    overflows[1] = true;
    encoding.overflow.push_back(fill_chosen());
  }
  for (const TokenRun* run : runs) encoding.replaced += run->replaced;
  return encoding;
}

Encoding PostProcessor::fill(std::span<const TokenRun* const> runs, std::span<const Window> windows,
                             std::span<const bool> overflows, bool add_special_tokens) const {
  const bool pair = runs.size() > 1;
  Encoding out;
  std::size_t size = add_special_tokens ? added(pair) : 0;
  for (const Window& window : windows) size += window.end - window.begin;
  out.ids.reserve(size);
  out.type_ids.reserve(size);
  out.attention_mask.assign(size, 1);
  out.special_tokens_mask.reserve(size);
  out.offsets.reserve(size);
  out.words.reserve(size);
  for (const Piece& piece : pair ? pair_ : single_) {
    if (piece.run) {
      const std::size_t i = *piece.run;
      const auto natural = static_cast<std::uint32_t>(one_type_ ? 0 : i);
      append(*runs[i], windows[i], overflows[i] ? natural : piece.type_id, out);
    } else if (add_special_tokens) {
      for (const std::uint32_t id : piece.ids) {
        out.ids.push_back(id);
        out.type_ids.push_back(piece.type_id);
        out.special_tokens_mask.push_back(1);
        out.offsets.push_back({});
        out.words.push_back(-1);
      }
    }
  }
  out.attention_mask.resize(out.ids.size(), 1);  // a template may name a text twice, or not at all
  return out;
}

void PostProcessor::append(const TokenRun& run, Window window, std::uint32_t type_id,
                           Encoding& out) const {
  const auto slice = [&](const auto& from, auto& to) {
    to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(window.begin),
              from.begin() + static_cast<std::ptrdiff_t>(window.end));
  };
  slice(run.ids, out.ids);
  slice(run.words, out.words);
  const std::size_t first = out.offsets.size();
  slice(run.offsets, out.offsets);
  out.type_ids.insert(out.type_ids.end(), window.end - window.begin, type_id);
  out.special_tokens_mask.insert(out.special_tokens_mask.end(), window.end - window.begin, 0);
  for (const bool prefixed : trims_) {
    for (std::size_t i = window.begin; i < window.end; ++i) {
      Span& span = out.offsets[first + i - window.begin];
      std::uint32_t leading = run.blanks[i].leading;
      const std::uint32_t trailing = run.blanks[i].trailing;
      if (leading > 0) {
        const bool at_start = i == window.begin || span.begin == 0;
        if (at_start && prefixed && leading == 1) leading = 0;
        span.begin = std::min(span.begin + leading, span.end);
      }
      if (trailing > 0 && span.end >= trailing)
        span.end = std::max(span.end - trailing, span.begin);
    }
  }
}

}  // namespace polyphony::text
