#include <algorithm>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/text/post_processor.h>

namespace polyphony::text {
namespace {

/// The windows of one run cut to a length.
std::vector<Window> cut(std::size_t size, std::size_t length, const Truncation& truncation) {
  if (length >= size) return {{0, size}};
  if (length == 0) return {{0, 0}, {0, size}};
  if (truncation.stride >= length)
    throw ConfigError(
        fmt::format("tokenizer: a stride of {} in windows of {} tokens", truncation.stride, length),
        "set stride below max_length less the special tokens");
  const std::size_t step = length - truncation.stride;
  std::vector<Window> windows;
  if (truncation.side == Side::kRight) {
    for (std::size_t begin = 0;; begin += step) {
      windows.push_back({begin, std::min(begin + length, size)});
      if (windows.back().end == size) break;
    }
  } else {
    for (std::size_t end = size;; end -= step) {
      windows.push_back({end - std::min(end, length), end});
      if (windows.back().begin == 0) break;
    }
  }
  return windows;
}

/// How long each of two texts may be, so that both together are `length`: the longer gives first.
std::pair<std::size_t, std::size_t> share(std::size_t first, std::size_t second,
                                          std::size_t length) {
  const bool swapped = first > second;
  std::size_t shorter = std::min(first, second);
  std::size_t longer = shorter > length ? shorter : std::max(shorter, length - shorter);
  if (shorter + longer > length) {
    shorter = length / 2;
    longer = shorter + length % 2;
  }
  return swapped ? std::pair{longer, shorter} : std::pair{shorter, longer};
}

}  // namespace

std::vector<std::vector<Window>> truncate(std::span<const std::size_t> sizes,
                                          const Truncation& truncation, std::size_t max_length) {
  std::vector<std::vector<Window>> windows;
  std::size_t total = 0;
  for (const std::size_t size : sizes) {
    windows.push_back({{0, size}});
    total += size;
  }
  if (truncation.strategy == TruncationStrategy::kDoNotTruncate) return windows;
  if (max_length == 0) {
    for (std::size_t i = 0; i < sizes.size(); ++i) windows[i] = cut(sizes[i], 0, truncation);
    return windows;
  }
  if (total <= max_length) return windows;
  if (truncation.strategy == TruncationStrategy::kLongestFirst) {
    if (sizes.size() == 1) {
      windows[0] = cut(sizes[0], max_length, truncation);
    } else {
      const auto [first, second] = share(sizes[0], sizes[1], max_length);
      windows[0] = cut(sizes[0], first, truncation);
      windows[1] = cut(sizes[1], second, truncation);
    }
    return windows;
  }
  const std::size_t target = truncation.strategy == TruncationStrategy::kOnlyFirst ? 0 : 1;
  if (target >= sizes.size())
    throw ConfigError("tokenizer: truncation only_second, and there is one text",
                      "use longest_first or only_first");
  const std::size_t excess = total - max_length;
  if (sizes[target] <= excess)
    throw ConfigError(fmt::format("tokenizer: {} of {} tokens must go, and the text that may be "
                                  "cut has {}",
                                  excess, total, sizes[target]),
                      "use longest_first, or a greater max_length");
  windows[target] = cut(sizes[target], sizes[target] - excess, truncation);
  return windows;
}

}  // namespace polyphony::text
