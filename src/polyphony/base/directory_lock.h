#pragma once

#include <filesystem>
#include <optional>

#include <polyphony/base/descriptor.h>

namespace polyphony {

/// Says that a directory's files are written by this process: an advisory lock (flock) on the
/// directory itself, which leaves no file behind and ends with the process, however that ends.
class DirectoryLock {
 public:
  /// nullopt where another lock of it is held, by whatever process. Where the file system knows no
  /// locks, or the directory cannot be opened, this has it without one.
  static std::optional<DirectoryLock> try_lock(const std::filesystem::path& directory);

 private:
  explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
  Descriptor descriptor_;
};

}  // namespace polyphony
