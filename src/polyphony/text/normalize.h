#pragma once

#include <string>
#include <string_view>

#include <polyphony/config/fields.h>

namespace polyphony::text {

struct NormalizeOptions {
  bool nfkc = true;                 ///< Unicode compatibility composition
  bool lowercase = true;            ///< full lower casing, of no language
  bool collapse_whitespace = true;  ///< runs become one blank; none at the ends

  void describe(config::Fields& f);
};

/// Unicode normalisation of a text. Bytes that are not UTF-8 become U+FFFD.
std::string normalize(std::string_view utf8, const NormalizeOptions& options = {});

}  // namespace polyphony::text
