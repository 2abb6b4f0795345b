#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/base/utf8.h>
#include <polyphony/text/code_points.h>

namespace polyphony::text {

/// A range of a text, in the unit that its owner says.
struct Span {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  bool operator==(const Span&) const = default;
};

/// One code point of a transformed text and what it did to the old one: 0 replaces one code point,
/// 1 is inserted, -n replaces one and swallows the n after it.
struct Change {
  char32_t point;
  std::int32_t change;
};

/// A text under normalisation: what it is now and, for each byte, where that came from.
/// The rules by which origins move are those of Hugging Face's `NormalizedString`, to the letter,
/// so that offsets agree: an inserted code point has the origin of the one before it.
class AlignedText {
 public:
  /// Starts over. @param text  valid UTF-8; @param at  where it stands in the whole input, in bytes
  void assign(std::string_view text, std::uint32_t at);

  const std::string& text() const { return text_; }
  const std::vector<Span>& spans() const {
    return spans_;
  }                                            ///< bytes of the input, one for each byte of text()
  Span original() const { return original_; }  ///< bytes of the input that the whole stands for
  bool is_ascii() const;

  /// Replaces the whole text. @param removed_first  code points that go before the first change
  void transform(const std::vector<Change>& changes, std::size_t removed_first = 0);
  /// Sets `text` before the first code point, with its origin.
  void prepend(std::string_view text);
  /// Each code point for which keep(c) is false goes.
  template <class Keep>
  void filter(Keep keep);
  /// Each code point becomes map(c).
  template <class Map>
  void map(Map map);
  /// White space at the ends goes.
  void strip(bool left, bool right);
  void lowercase();
  void decompose(Decomposition kind);
  void compose(Decomposition kind);
  /// Writes a byte range anew: it was [begin, end) and becomes `content`, whose origin is that of
  /// the last byte before `end`. Ranges in rising order; finish with end_replacing.
  void begin_replacing();
  void replace(std::size_t begin, std::size_t end, std::string_view content);
  void end_replacing();

  /// Code points with the changes that a step collects; kept to save allocations.
  std::vector<Change>& scratch() { return changes_; }

 private:
  bool any(PointClass classes) const;
  void collect_decomposition(Decomposition kind);
  void fill_range(std::size_t first, std::size_t last, const std::vector<Change>& changes,
                  std::size_t removed_first);

  std::string text_;
  std::vector<Span> spans_;
  Span original_;
  std::vector<Change> changes_;
  std::string new_text_;
  std::vector<Span> new_spans_;
  std::size_t copied_ = 0;  ///< by replace()
  std::vector<char32_t> points_;
  std::vector<std::uint8_t> combining_;
};

template <class Keep>
void AlignedText::filter(Keep keep) {
  changes_.clear();
  std::size_t removed_first = 0;
  std::int32_t removed = 0;
  for (std::size_t at = 0; at < text_.size();) {
    const Point point = point_at(text_, at);
    at += point.size;
    if (!keep(point.value)) {
      ++removed;
      continue;
    }
    if (changes_.empty()) {
      removed_first = static_cast<std::size_t>(removed);
    } else {
      changes_.back().change = -removed;
    }
    changes_.push_back({point.value, 0});
    removed = 0;
  }
  if (!changes_.empty()) changes_.back().change = -removed;
  transform(changes_, removed_first);
}

template <class Map>
void AlignedText::map(Map map) {
  changes_.clear();
  for (std::size_t at = 0; at < text_.size();) {
    const Point point = point_at(text_, at);
    at += point.size;
    changes_.push_back({map(point.value), 0});
  }
  transform(changes_);
}

}  // namespace polyphony::text
