#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <polyphony/corpus/manifest.h>

namespace polyphony::corpus {

/// What a manifest holds and what is wrong with it.
struct CheckReport {
  std::size_t rows = 0;
  std::map<std::string, std::size_t> classes;                        ///< rows a label
  std::map<std::string, std::map<std::string, std::size_t>> splits;  ///< rows a split and label
  double imbalance = 1.0;                  ///< largest class / smallest class
  std::vector<double> seconds;             ///< of each readable recording, ascending
  std::vector<std::string> bad_audio;      ///< missing, unreadable or empty: "line N: why"
  std::vector<std::string> empty_text;     ///< "line N"
  std::vector<std::string> leaked_texts;   ///< in more than one split: "'text' in train, test"
  std::vector<std::string> leaked_groups;  ///< in more than one split

  bool leaks() const { return !leaked_texts.empty() || !leaked_groups.empty(); }
};

/// Decodes every recording on all cores. Texts are compared after normalisation.
CheckReport check_manifest(const Manifest& manifest);

/// The report for a terminal; of long lists the first 10 are shown.
std::string to_text(const CheckReport& report);

}  // namespace polyphony::corpus
