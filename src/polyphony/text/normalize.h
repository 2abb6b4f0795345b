#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <polyphony/config/bind/fields.h>

namespace polyphony::text {

/// Named rules that leave out characters, before all else.
enum class Cleaning {
  kNone,
  kKemdy19,  ///< the original's: see clean_kemdy19
};

struct NormalizeOptions {
  bool nfkc = true;                 ///< Unicode compatibility composition
  bool lowercase = true;            ///< full lower casing, of no language
  bool collapse_whitespace = true;  ///< runs become one blank; none at the ends
  Cleaning cleaning = Cleaning::kNone;

  void describe(config::Fields& f);
};

/// Unicode normalisation of a text. Bytes that are not UTF-8 become U+FFFD.
std::string normalize(std::string_view utf8, const NormalizeOptions& options = {});

/// The original's `normalize_string`: every run of anything but ASCII letters and digits, Hangul
/// syllables, consonants U+3131 to U+314E (no vowels) and `.!?` becomes one blank, at the ends too.
/// Source: DimensionSTP/multimodal-transformer, src/datasets/text_dataset.py
std::string clean_kemdy19(std::string_view utf8);

}  // namespace polyphony::text

template <>
struct polyphony::config::EnumNames<polyphony::text::Cleaning> {
  static constexpr std::pair<const char*, text::Cleaning> kTable[] = {
      {"none", text::Cleaning::kNone}, {"kemdy19", text::Cleaning::kKemdy19}};
};
