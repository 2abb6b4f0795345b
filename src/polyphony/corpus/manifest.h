#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/base/csv.h>

namespace polyphony::corpus {

/// Which column holds what. Path and text may be absent from the file, but not both; label, group,
/// language and split may be absent.
struct ManifestColumns {
  std::string path = "audio_path";
  std::string text = "text";
  std::string label = "label";
  std::string group = "group";
  std::string language = "language";
  std::string split = "split";
};

/// One utterance. What the file has no column for is empty.
struct ManifestRow {
  std::string audio_path;  ///< relative ones are joined to the manifest's folder
  std::string text, label, group, language, split;
  std::size_t line = 0;  ///< of the file, from 1
};

struct Manifest {
  std::filesystem::path path;
  CsvTable table;
  std::vector<ManifestRow> rows;
  bool has_audio = false;  ///< the file has the path column
  bool has_text = false;   ///< the file has the text column
};

/// @throws IoError where it cannot be read; DataError for a malformed table, no rows, or neither a
/// path
///   nor a text column
Manifest read_manifest(const std::filesystem::path& path, const ManifestColumns& columns = {});

/// True for a cell of nothing but white space.
bool blank(std::string_view cell);

/// The number of a label: a class's place in `classes`, or what a whole number says, which may be
/// beyond them. nullopt for anything else.
std::optional<std::int64_t> label_of(const std::string& cell, std::span<const std::string> classes);

/// @param option  what the user sets to name another column, e.g. "dataset.text_column"
/// @throws DataError naming the columns there are, and the nearest
void require_column(const Manifest& manifest, const std::string& name, const std::string& option);

}  // namespace polyphony::corpus
