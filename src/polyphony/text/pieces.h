#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/text/aligned_text.h>
#include <polyphony/text/pattern.h>

namespace polyphony::text {

constexpr std::int64_t kNoToken = -1;

/// A part of a text on its way to becoming tokens.
struct Piece {
  std::uint32_t begin, end;  ///< bytes of Pieces::text()
  Span original;             ///< bytes of the input
  std::int64_t token;        ///< id of the added token that it is, or kNoToken
};

/// What becomes of the matches when a text is split at them.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// A text in pieces, each byte with its origin. Splitting moves borders only; rewriting makes a new
/// text. Reused from text to text, so that it settles into needing no memory.
class Pieces {
 public:
  void clear();
  /// Adds a normalised text as one piece, unless it is empty.
  void append(const AlignedText& text);
  /// Adds a byte range of one, as a piece of its own.
  void append(const AlignedText& text, std::size_t begin, std::size_t end, std::int64_t token);

  std::string_view text() const { return text_; }
  std::string_view text_of(const Piece& piece) const {
    return std::string_view(text_).substr(piece.begin, piece.end - piece.begin);
  }
  const std::vector<Span>& spans() const { return spans_; }
  const std::vector<Piece>& pieces() const { return pieces_; }

  /// Splits every piece that is no added token. `divide(text, parts)` finds the parts of one.
  template <class Divide>
  void split(SplitBehavior behavior, Divide divide);
  /// Rewrites every piece that is no added token: `rewrite(piece)` calls emit for each part of its
  /// new text.
  template <class Rewrite>
  void rewrite(Rewrite rewrite);
  /// Within rewrite: adds bytes whose origin is `span`.
  void emit(std::string_view bytes, Span span);
  void emit(char32_t c, Span span);

 private:
  void apply(const Piece& piece, SplitBehavior behavior);
  void push(const Piece& piece, std::size_t begin, std::size_t end);

  std::string text_, new_text_;
  std::vector<Span> spans_, new_spans_;
  std::vector<Piece> pieces_, new_pieces_;
  std::vector<Part> parts_;
};

template <class Divide>
void Pieces::split(SplitBehavior behavior, Divide divide) {
  new_pieces_.clear();
  for (const Piece& piece : pieces_) {
    if (piece.token != kNoToken) {
      new_pieces_.push_back(piece);
      continue;
    }
    divide(text_of(piece), parts_);
    apply(piece, behavior);
  }
  pieces_.swap(new_pieces_);
}

template <class Rewrite>
void Pieces::rewrite(Rewrite rewrite) {
  new_text_.clear();
  new_spans_.clear();
  new_pieces_.clear();
  for (const Piece& piece : pieces_) {
    const auto begin = static_cast<std::uint32_t>(new_text_.size());
    if (piece.token != kNoToken) {
      new_text_.append(text_, piece.begin, piece.end - piece.begin);
      new_spans_.insert(new_spans_.end(), spans_.begin() + piece.begin, spans_.begin() + piece.end);
    } else {
      rewrite(piece);
    }
    const auto end = static_cast<std::uint32_t>(new_text_.size());
    if (end > begin) new_pieces_.push_back({begin, end, piece.original, piece.token});
  }
  text_.swap(new_text_);
  spans_.swap(new_spans_);
  pieces_.swap(new_pieces_);
}

}  // namespace polyphony::text
