#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <polyphony/base/descriptor.h>

namespace polyphony {

/// The whole file as bytes.
/// @throws IoError naming the path and the system's reason
std::string read_file(const std::filesystem::path& path);

/// A file that is written in parts and is there whole or not at all: temporary file beside it,
/// fsync, rename. Creates missing parent directories.
/// @throws IoError naming the path, the system's reason and what to check; the old file is
/// untouched
class FileWriter {
 public:
  explicit FileWriter(std::filesystem::path path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(std::string_view bytes);
  /// Puts the file in place.
  void finish();

 private:
  std::filesystem::path path_;
  std::string temporary_;  ///< empty once it is in place
  Descriptor fd_;
};

/// Writes a file of these bytes, as FileWriter does.
void write_file(const std::filesystem::path& path, std::string_view bytes);
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

/// Creates the directory and its parents, and tries that it can be written to.
/// @throws IoError naming the path and the system's reason
void make_directory(const std::filesystem::path& path);

}  // namespace polyphony
