#include <polyphony/text/charsmap.h>

#include <cstring>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/utf8.h>
#include <polyphony/text/grapheme.h>

namespace polyphony::text {
namespace {

constexpr std::string_view kRemedy =
    "the tokenizer's files may be cut off: fetch or save them again";

bool has_leaf(std::uint32_t unit) { return (unit >> 8U & 1U) != 0; }
std::uint32_t label(std::uint32_t unit) { return unit & (1U << 31U | 0xFFU); }
std::uint32_t value(std::uint32_t unit) { return unit & 0x7FFFFFFFU; }
std::uint32_t offset(std::uint32_t unit) { return unit >> 10U << ((unit & 1U << 9U) >> 6U); }

/// The changes by which `count` code points become `content`.
void push_replacement(std::vector<Change>& changes, std::size_t count, std::string_view content) {
  const std::size_t first = changes.size();
  for (std::size_t at = 0; at < content.size();) {
    const Point point = point_at(content, at);
    at += point.size;
    changes.push_back({point.value, 0});
  }
  const auto difference =
      static_cast<std::ptrdiff_t>(changes.size() - first) - static_cast<std::ptrdiff_t>(count);
  if (difference > 0) {
    for (std::ptrdiff_t i = 0; i < difference; ++i)
      changes[changes.size() - 1 - static_cast<std::size_t>(i)].change = 1;
  } else if (difference < 0 && !changes.empty()) {
    changes.back().change += static_cast<std::int32_t>(difference);
  }
}

}  // namespace

Charsmap::Charsmap(std::string_view bytes, const std::string& place) {
  std::uint32_t size = 0;
  if (bytes.size() < sizeof size)
    throw DataError(fmt::format("{}: shorter than 4 bytes", place), std::string(kRemedy));
  std::memcpy(&size, bytes.data(), sizeof size);
  bytes.remove_prefix(sizeof size);
  if (size == 0 || size % 4 != 0 || size > bytes.size())
    throw DataError(fmt::format("{}: a trie of {} bytes in {}", place, size, bytes.size()),
                    std::string(kRemedy));
  units_.resize(size / 4);
  std::memcpy(units_.data(), bytes.data(), size);
  replacements_.assign(bytes.substr(size));
  if (valid_prefix(replacements_) != replacements_.size())
    throw DataError(fmt::format("{}: the replacements are not UTF-8", place), std::string(kRemedy));
}

std::optional<std::string_view> Charsmap::find(std::string_view key) const {
  std::uint32_t node = offset(units_[0]);
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) break;
    node ^= byte;
    if (node >= units_.size() || label(units_[node]) != byte) return std::nullopt;
    const std::uint32_t unit = units_[node];
    node ^= offset(unit);
    if (!has_leaf(unit)) continue;
    if (node >= units_.size()) return std::nullopt;
    const std::uint32_t begin = value(units_[node]);
    if (begin > replacements_.size()) return std::nullopt;
    if (begin < replacements_.size() && is_continuation(replacements_[begin])) return std::nullopt;
    const std::string_view rest = std::string_view(replacements_).substr(begin);
    return rest.substr(0, rest.find('\0'));
  }
  return std::nullopt;
}

void Charsmap::apply(AlignedText& text) const {
  std::vector<Change>& changes = text.scratch();
  changes.clear();
  bool modified = false;
  const std::string_view whole = text.text();
  constexpr std::size_t kLongest = 5;  // bytes of a cluster that is looked up as one
  for (std::size_t at = 0; at < whole.size();) {
    const std::size_t end = grapheme_end(whole, at);
    const std::string_view cluster = whole.substr(at, end - at);
    at = end;
    if (cluster.size() <= kLongest) {
      if (const auto found = find(cluster)) {
        modified = true;
        push_replacement(changes, count_points(cluster), *found);
        continue;
      }
    }
    for (std::size_t i = 0; i < cluster.size();) {
      const Point point = point_at(cluster, i);
      if (const auto found = find(cluster.substr(i, point.size))) {
        modified = true;
        push_replacement(changes, 1, *found);
      } else {
        changes.push_back({point.value, 0});
      }
      i += point.size;
    }
  }
  if (modified) text.transform(changes);
}

}  // namespace polyphony::text
