#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include <polyphony/base/descriptor.h>

namespace polyphony {

/// A file that is read in parts, each straight to where it is wanted.
class FileReader {
 public:
  /// @throws IoError naming the path and the system's reason
  explicit FileReader(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  /// Reads `count` bytes from place `at`, fewer where the file ends before.
  /// @return how many were read. @throws IoError where the disk does not give them
  std::size_t read(std::uint64_t at, void* into, std::size_t count) const;
  /// The same, as a string.
  std::string text(std::uint64_t at, std::size_t count) const;

 private:
  std::filesystem::path path_;
  Descriptor fd_;
  std::uint64_t size_ = 0;
};

}  // namespace polyphony
