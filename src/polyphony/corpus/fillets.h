#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/base/csv.h>

namespace polyphony::corpus {

/// One pair of dialogId and dialogStr.
struct Dialog {
  std::string id;
  std::string font;
  std::string english;
  std::string text;
  std::size_t line = 0;  ///< of its dialogId
};

/// Reads the pairs of a dialogs_LANG.lua. Both quote styles, escapes and comments are understood;
/// a dialogId that no dialogStr follows is left out.
/// @throws DataError naming source and line for a string that is never closed
std::vector<Dialog> parse_dialogs(std::string_view lua, const std::string& source);

enum class FilletsLanguage { kCzech, kDutch, kAll };

struct FilletsOptions {
  std::filesystem::path root = "/usr/share/games/fillets-ng";
  FilletsLanguage language = FilletsLanguage::kAll;
};

/// The corpus of Fish Fillets NG as a manifest table: who speaks (small, big, other).
struct Fillets {
  CsvTable table;  ///< audio_path, text, label, group, language, split
  std::vector<std::string>
      skipped;                   ///< recordings that hold no sample or cannot be decoded, and why
  std::size_t without_text = 0;  ///< dialogs with a recording and no text: left out
  std::map<std::string, std::map<std::string, std::size_t>> counts;  ///< split, class: rows
};

/// Splits are by level and the same whatever the language: levels come in the order of most rows of
/// the rarest class, ties by a hash of their names, and each goes where it brings the classes
/// nearest to 70 / 10 / 20 per cent.
/// @throws DataError where the corpus is not installed
Fillets read_fillets(const FilletsOptions& options);

}  // namespace polyphony::corpus
