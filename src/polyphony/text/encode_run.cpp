#include <polyphony/text/encode_run.h>

#include <polyphony/base/error.h>
#include <polyphony/base/utf8.h>

namespace polyphony::text {
namespace {

/// From bytes of the input to code points, as the library converts them: an end within a code point
/// takes the whole of it, and what begins past the text stays as it is.
class PointOffsets {
 public:
  PointOffsets(std::string_view text, std::vector<std::uint32_t>& points)
      : size_(static_cast<std::uint32_t>(text.size())), points_(points) {
    points_.clear();
    if (is_ascii(text)) return;
    std::uint32_t point = 0;
    for (std::size_t at = 0; at < text.size(); ++point) {
      const std::uint32_t size = point_at(text, at).size;
      points_.insert(points_.end(), size, point);
      at += size;
    }
  }

  Span operator()(Span bytes) const {
    if (points_.empty() || bytes.begin >= size_) return bytes;
    const std::uint32_t begin = points_[bytes.begin];
    if (bytes.end < size_) return {begin, points_[bytes.end]};
    const bool inside = bytes.end > 0 && bytes.end - 1 < size_;
    return {begin, (inside ? points_[bytes.end - 1] : begin + 1) + 1};
  }

 private:
  std::uint32_t size_;
  std::vector<std::uint32_t>& points_;  ///< empty: code points are bytes
};

/// Splits added tokens off, normalises what stands between and divides it into words.
void prepare(std::string_view text, const TokenizerParts& parts, Workspace& work) {
  work.pieces.clear();
  parts.added.find_raw(text, work.raw);
  for (const Section& raw : work.raw) {
    work.section.assign(text.substr(raw.begin, raw.end - raw.begin),
                        static_cast<std::uint32_t>(raw.begin));
    if (raw.token != kNoToken) {
      work.pieces.append(work.section, 0, work.section.text().size(), raw.token);
      continue;
    }
    if (parts.normalizer != nullptr) parts.normalizer->normalize(work.section);
    parts.added.find_normalized(work.section.text(), work.normalized);
    for (const Section& section : work.normalized)
      work.pieces.append(work.section, section.begin, section.end, section.token);
  }
  if (parts.pre_tokenizer != nullptr) parts.pre_tokenizer->pre_tokenize(work.pieces);
}

/// The tokens of one piece, in work.tokens.
void tokenize(const Piece& piece, const TokenizerParts& parts, Workspace& work) {
  work.tokens.clear();
  const std::string_view text = work.pieces.text_of(piece);
  if (piece.token != kNoToken) {
    work.tokens.push_back(
        {static_cast<std::uint32_t>(piece.token), 0, static_cast<std::uint32_t>(text.size())});
    return;
  }
  if (work.cache.find(text, work.tokens)) return;
  parts.model->tokenize(text, work.scratch, work.tokens);
  work.cache.keep(text, work.tokens, 0);
}

/// Where a token of a piece stands in the input, in bytes.
Span origin_of(const Token& token, const Piece& piece, const Pieces& pieces) {
  if (token.begin == token.end)
    return {piece.original.begin + token.begin, piece.original.begin + token.end};
  if (token.end > piece.end - piece.begin) return {token.begin, token.end};
  return {pieces.spans()[piece.begin + token.begin].begin,
          pieces.spans()[piece.begin + token.end - 1].end};
}

Blanks blanks_of_token(const Token& token, const Piece& piece, const TokenizerParts& parts,
                       const Pieces& pieces) {
  const std::string_view text = pieces.text_of(piece);
  if (piece.token != kNoToken) return blanks_of(text);
  if (parts.model->spells_unknown(token.id))
    return blanks_of(text.substr(token.begin, token.end - token.begin));
  return token.id < parts.blanks.size() ? parts.blanks[token.id] : Blanks{};
}

/// The first piece that is needed where tokens may be missing at the front.
std::size_t first_needed(const TokenizerParts& parts, TokenLimit limit, Workspace& work) {
  const auto& pieces = work.pieces.pieces();
  std::size_t total = 0;
  for (std::size_t i = pieces.size(); i-- > 0;) {
    tokenize(pieces[i], parts, work);
    total += work.tokens.size();
    // The library looks at the limit after words only, not after added tokens.
    if (pieces[i].token == kNoToken && total >= limit.tokens) return i;
  }
  return 0;
}

}  // namespace

void encode_run(std::string_view text, const TokenizerParts& parts, TokenLimit limit,
                Workspace& work, TokenRun& run) {
  constexpr std::size_t kLongest = 1U << 30U;
  if (text.size() > kLongest)
    throw DataError("tokenizer: a text of more than 2^30 bytes", "divide it");
  run.clear();
  if (!is_ascii(text) && valid_prefix(text) != text.size()) {
    run.replaced = make_valid(text, work.valid);
    text = work.valid;
  }
  prepare(text, parts, work);
  const PointOffsets to_points(text, work.points);
  const bool trims = parts.post_processor.trims();
  const bool from_left = limit.side == Side::kRight;
  const bool limited = limit.tokens != SIZE_MAX;
  const std::size_t first = limited && !from_left ? first_needed(parts, limit, work) : 0;
  const auto& pieces = work.pieces.pieces();
  for (std::size_t i = first; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    tokenize(piece, parts, work);
    for (const Token& token : work.tokens) {
      run.ids.push_back(token.id);
      run.offsets.push_back(to_points(origin_of(token, piece, work.pieces)));
      run.words.push_back(static_cast<std::int32_t>(i - first));
      if (trims) run.blanks.push_back(blanks_of_token(token, piece, parts, work.pieces));
    }
    if (limited && from_left && piece.token == kNoToken && run.ids.size() >= limit.tokens) break;
  }
}

}  // namespace polyphony::text
