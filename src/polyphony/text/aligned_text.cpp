#include <polyphony/text/aligned_text.h>

#include <algorithm>
#include <utility>

#include <polyphony/base/utf8.h>

namespace polyphony::text {

void AlignedText::assign(std::string_view text, std::uint32_t at) {
  text_.assign(text);
  spans_.resize(text.size());
  original_ = {at, at + static_cast<std::uint32_t>(text.size())};
  for (std::size_t i = 0; i < text.size();) {
    const std::uint32_t size = point_at(text, i).size;
    const Span span{at + static_cast<std::uint32_t>(i), at + static_cast<std::uint32_t>(i) + size};
    for (std::uint32_t n = 0; n < size; ++n) spans_[i++] = span;
  }
}

bool AlignedText::is_ascii() const { return polyphony::is_ascii(text_); }

bool AlignedText::any(PointClass classes) const {
  for (std::size_t at = 0; at < text_.size();) {
    const Point point = point_at(text_, at);
    if ((classes_of(point.value) & classes) != 0) return true;
    at += point.size;
  }
  return false;
}

void AlignedText::transform(const std::vector<Change>& changes, std::size_t removed_first) {
  // Bytes at the front that came from nowhere are not part of what the original covers.
  std::size_t first = 0;
  if (original_.begin == original_.end) {
    fill_range(0, 0, changes, removed_first);
    return;
  }
  if (spans_.empty()) return;
  while (first < spans_.size() && spans_[first].begin == spans_[first].end) ++first;
  fill_range(first, spans_.size(), changes, removed_first);
}

void AlignedText::fill_range(std::size_t first, std::size_t last,
                             const std::vector<Change>& changes, std::size_t removed_first) {
  new_text_.assign(text_, 0, first);
  new_spans_.assign(spans_.begin(), spans_.begin() + static_cast<std::ptrdiff_t>(first));
  std::size_t cursor = first;  // the next old code point
  const auto skip = [&](std::size_t count) {
    for (; count > 0 && cursor < last; --count) cursor += point_at(text_, cursor).size;
  };
  skip(removed_first);
  const Span nowhere{original_.begin, original_.begin};
  for (const auto& [point, change] : changes) {
    Span origin = nowhere;
    if (change > 0) {
      if (cursor > 0) origin = spans_[cursor - 1];
    } else {
      if (cursor < spans_.size()) origin = spans_[cursor];
      skip(1 + static_cast<std::size_t>(-change));
    }
    append_utf8(new_text_, point);
    new_spans_.insert(new_spans_.end(), utf8_size(point), origin);
  }
  new_text_.append(text_, last);
  new_spans_.insert(new_spans_.end(), spans_.begin() + static_cast<std::ptrdiff_t>(last),
                    spans_.end());
  text_.swap(new_text_);
  spans_.swap(new_spans_);
}

void AlignedText::prepend(std::string_view text) {
  if (text_.empty() || text.empty()) return;
  const std::uint32_t size = point_at(text_, 0).size;
  const Span origin = spans_[0];
  std::fill_n(spans_.begin(), size, spans_[size - 1]);
  text_.insert(0, text);
  spans_.insert(spans_.begin(), text.size(), origin);
}

void AlignedText::strip(bool left, bool right) {
  changes_.clear();
  for (std::size_t at = 0; at < text_.size();) {
    const Point point = point_at(text_, at);
    at += point.size;
    changes_.push_back({point.value, 0});
  }
  const auto is_blank = [](const Change& c) { return (classes_of(c.point) & kWhitespace) != 0; };
  const auto first =
      left ? std::find_if_not(changes_.begin(), changes_.end(), is_blank) : changes_.begin();
  const auto leading = static_cast<std::size_t>(first - changes_.begin());
  const auto from_right =
      right ? std::find_if_not(changes_.rbegin(), changes_.rend(), is_blank) : changes_.rbegin();
  const auto trailing = static_cast<std::size_t>(from_right - changes_.rbegin());
  if (leading == 0 && trailing == 0) return;
  const std::size_t kept = changes_.size() - std::min(changes_.size(), leading + trailing);
  changes_.erase(changes_.begin(), changes_.begin() + static_cast<std::ptrdiff_t>(
                                                          std::min(leading, changes_.size())));
  changes_.resize(std::min(kept, changes_.size()));
  transform(changes_, leading);
}

void AlignedText::lowercase() {
  if (!any(kLowers)) return;
  changes_.clear();
  for (std::size_t at = 0; at < text_.size();) {
    const Point point = point_at(text_, at);
    at += point.size;
    const bool changes = (classes_of(point.value) & kLowers) != 0;
    changes_.push_back({changes ? lower_of(point.value) : point.value, 0});
    if (point.value == 0x130) changes_.push_back({0x307, 1});
  }
  transform(changes_);
}

void AlignedText::collect_decomposition(Decomposition kind) {
  changes_.clear();
  combining_.clear();
  const auto settle = [&] {  // marks since the last starter, in canonical order
    std::size_t begin = changes_.size();
    while (begin > 0 && combining_[begin - 1] != 0) --begin;
    for (std::size_t i = begin + 1; i < changes_.size(); ++i) {
      for (std::size_t k = i; k > begin && combining_[k - 1] > combining_[k]; --k) {
        std::swap(combining_[k - 1], combining_[k]);
        std::swap(changes_[k - 1], changes_[k]);
      }
    }
  };
  const PointClass changing = kind == Decomposition::kCanonical ? kNfdChanges : kNfkdChanges;
  for (std::size_t at = 0; at < text_.size();) {
    const Point point = point_at(text_, at);
    at += point.size;
    points_.clear();
    if ((classes_of(point.value) & changing) != 0) {
      append_decomposition(point.value, kind, points_);
    } else {
      points_.push_back(point.value);
    }
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const std::uint8_t combining = combining_class(points_[i]);
      if (combining == 0) settle();
      changes_.push_back({points_[i], i == 0 ? 0 : 1});
      combining_.push_back(combining);
    }
  }
  settle();
}

void AlignedText::decompose(Decomposition kind) {
  if (!any(kind == Decomposition::kCanonical ? kNfdChanges : kNfkdChanges)) return;
  collect_decomposition(kind);
  transform(changes_);
}

void AlignedText::compose(Decomposition kind) {
  if (!any(kind == Decomposition::kCanonical ? kNfcChanges : kNfkcChanges)) return;
  collect_decomposition(kind);
  // Each starter takes up what follows it; what it cannot take up stands after it, in order.
  std::size_t out = 0;
  std::size_t starter = changes_.size();  // none yet
  std::uint8_t last = 0;                  // class of the last mark that was not taken up; 0: none
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    const Change next = changes_[i];
    const std::uint8_t combining = combining_[i];
    if (starter < out && (last == 0 || last < combining)) {
      const char32_t whole = composite_of(changes_[starter].point, next.point);
      if (whole != 0) {
        changes_[starter] = {whole, changes_[starter].change + next.change - 1};
        continue;
      }
    }
    if (combining == 0) {
      starter = out;
      last = 0;
    } else if (starter < out) {
      last = combining;
    }
    changes_[out++] = next;
  }
  changes_.resize(out);
  transform(changes_);
}

void AlignedText::begin_replacing() {
  new_text_.clear();
  new_spans_.clear();
  copied_ = 0;
}

void AlignedText::replace(std::size_t begin, std::size_t end, std::string_view content) {
  new_text_.append(text_, copied_, begin - copied_);
  new_spans_.insert(new_spans_.end(), spans_.begin() + static_cast<std::ptrdiff_t>(copied_),
                    spans_.begin() + static_cast<std::ptrdiff_t>(begin));
  new_text_.append(content);
  const Span nowhere{original_.begin, original_.begin};
  new_spans_.insert(new_spans_.end(), content.size(), end > 0 ? spans_[end - 1] : nowhere);
  copied_ = end;
}

void AlignedText::end_replacing() {
  new_text_.append(text_, copied_);
  new_spans_.insert(new_spans_.end(), spans_.begin() + static_cast<std::ptrdiff_t>(copied_),
                    spans_.end());
  text_.swap(new_text_);
  spans_.swap(new_spans_);
}

}  // namespace polyphony::text
