#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace polyphony::text {

// What tokenizers ask of a code point, as Hugging Face's library answers it. Its parts follow
// different versions of Unicode, so each class below says up to which; ICU gives the data and
// code_points.cpp the few differences. Checked over all code points against tokenizers 0.23.2.
using PointClass = std::uint16_t;
constexpr PointClass kWhitespace = 1U << 0;   ///< White_Space
constexpr PointClass kControl = 1U << 1;      ///< Cc, Cf, Co (Unicode 8)
constexpr PointClass kNonspacing = 1U << 2;   ///< Mn (Unicode 8)
constexpr PointClass kCombining = 1U << 3;    ///< M (Unicode 9)
constexpr PointClass kPunctuation = 1U << 4;  ///< P (Unicode 8) and ASCII's symbols
constexpr PointClass kNumeric = 1U << 5;      ///< N (Unicode 17)
constexpr PointClass kWord = 1U << 6;         ///< a regular expression's \w (Unicode 16)
constexpr PointClass kLetter = 1U << 7;       ///< L (Unicode 16)
constexpr PointClass kNumber = 1U << 8;       ///< N (Unicode 16)
constexpr PointClass kChinese = 1U << 9;      ///< BERT's blocks of CJK ideographs
constexpr PointClass kLowers = 1U << 10;      ///< lower case is another code point
constexpr PointClass kNfdChanges = 1U << 11;  ///< decomposes or is reordered
constexpr PointClass kNfkdChanges = 1U << 12;
constexpr PointClass kNfcChanges = 1U << 13;  ///< may change, or change what stands before it
constexpr PointClass kNfkcChanges = 1U << 14;

namespace detail {
using ClassPage = std::array<PointClass, 256>;
extern std::array<std::atomic<const ClassPage*>, 0x1100> class_pages;
const ClassPage& load_class_page(std::uint32_t page);
}  // namespace detail

/// All classes of a code point, as bits. Computed a page of 256 at a time, at first use.
inline PointClass classes_of(char32_t c) {
  const std::uint32_t page = c >> 8U;
  const auto* loaded = detail::class_pages[page].load(std::memory_order_acquire);
  return (loaded != nullptr ? *loaded : detail::load_class_page(page))[c & 0xFFU];
}

/// Code points of a class that ICU's own data lacks, as ranges of a regular expression's set:
/// "\\U00013460-\\U000143fa…".
std::string newer_points(PointClass classes);

/// Lower case without context, but for U+0130, which becomes U+0069 U+0307.
char32_t lower_of(char32_t c);

enum class Decomposition { kCanonical, kCompatible };

/// The full decomposition (Unicode 9); a code point that has none stands for itself.
void append_decomposition(char32_t c, Decomposition kind, std::vector<char32_t>& out);
/// Canonical combining class (Unicode 9).
std::uint8_t combining_class(char32_t c);
/// The primary composite of two code points (Unicode 9), or 0.
char32_t composite_of(char32_t first, char32_t second);

}  // namespace polyphony::text
