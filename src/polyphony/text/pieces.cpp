#include <polyphony/text/pieces.h>

#include <algorithm>

#include <polyphony/base/utf8.h>

namespace polyphony::text {

void Pieces::clear() {
  text_.clear();
  spans_.clear();
  pieces_.clear();
}

void Pieces::append(const AlignedText& text) {
  if (text.text().empty()) return;
  const auto begin = static_cast<std::uint32_t>(text_.size());
  text_.append(text.text());
  spans_.insert(spans_.end(), text.spans().begin(), text.spans().end());
  pieces_.push_back({begin, static_cast<std::uint32_t>(text_.size()), text.original(), kNoToken});
}

void Pieces::append(const AlignedText& text, std::size_t begin, std::size_t end,
                    std::int64_t token) {
  if (begin == end) return;
  const auto at = static_cast<std::uint32_t>(text_.size());
  text_.append(text.text(), begin, end - begin);
  const auto first = text.spans().begin();
  spans_.insert(spans_.end(), first + static_cast<std::ptrdiff_t>(begin),
                first + static_cast<std::ptrdiff_t>(end));
  const Span original{text.spans()[begin].begin, text.spans()[end - 1].end};
  pieces_.push_back({at, static_cast<std::uint32_t>(text_.size()), original, token});
}

void Pieces::emit(std::string_view bytes, Span span) {
  new_text_.append(bytes);
  new_spans_.insert(new_spans_.end(), bytes.size(), span);
}

void Pieces::emit(char32_t c, Span span) {
  append_utf8(new_text_, c);
  new_spans_.insert(new_spans_.end(), utf8_size(c), span);
}

void Pieces::push(const Piece& piece, std::size_t begin, std::size_t end) {
  if (begin == end) return;
  const std::uint32_t from = piece.begin + static_cast<std::uint32_t>(begin);
  const std::uint32_t to = piece.begin + static_cast<std::uint32_t>(end);
  new_pieces_.push_back({from, to, {spans_[from].begin, spans_[to - 1].end}, kNoToken});
}

/// @param piece  the one that parts_ divides
void Pieces::apply(const Piece& piece, SplitBehavior behavior) {
  if (behavior == SplitBehavior::kIsolated || behavior == SplitBehavior::kRemoved) {
    for (const Part& part : parts_) {
      if (!part.matches || behavior == SplitBehavior::kIsolated) push(piece, part.begin, part.end);
    }
    return;
  }
  const bool forward = behavior != SplitBehavior::kMergedWithNext;
  if (!forward) std::reverse(parts_.begin(), parts_.end());
  std::size_t kept = 0;
  bool matched = false;  // the part before
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const Part part = parts_[i];
    const bool joins =
        behavior == SplitBehavior::kContiguous ? part.matches == matched : part.matches && !matched;
    matched = part.matches;
    if (!joins || kept == 0) {
      parts_[kept++] = part;
    } else if (forward) {
      parts_[kept - 1].end = part.end;
    } else {
      parts_[kept - 1].begin = part.begin;
    }
  }
  parts_.resize(kept);
  if (!forward) std::reverse(parts_.begin(), parts_.end());
  for (const Part& part : parts_) push(piece, part.begin, part.end);
}

}  // namespace polyphony::text
