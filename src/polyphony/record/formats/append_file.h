#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <polyphony/base/descriptor.h>

namespace polyphony::record {

/// A file that only grows. What flush() has handed to the system outlives a killed process; all
/// bytes gathered between two flushes go in one write where the system takes them. Where it does
/// not take them all (the disk is full), what it took is taken back, and the next flush() tries
/// again: the file holds whole flushes.
class AppendFile {
 public:
  enum class Mode {
    kNew,       ///< an existing file is an error
    kContinue,  ///< of lines: goes on behind the last whole one, what is torn behind it is cut off
  };
  /// Makes missing parent directories. @throws IoError naming path and reason
  AppendFile(std::filesystem::path path, Mode mode);

  void append(std::string_view bytes) { pending_ += bytes; }
  /// @throws IoError naming path and reason, also where the file is gone from its directory; what
  ///         was appended waits for the next call
  void flush();
  /// Forgets what waits.
  void discard() { pending_.clear(); }

  const std::filesystem::path& path() const { return path_; }
  /// Bytes in the file and waiting.
  std::size_t size() const { return written_ + pending_.size(); }
  int descriptor() const { return descriptor_.get(); }

 private:
  void cut(std::size_t size);

  std::filesystem::path path_;
  Descriptor descriptor_;
  std::size_t written_ = 0;
  bool torn_ = false;  ///< bytes of a flush that failed lie behind the whole ones
  std::string pending_;
};

}  // namespace polyphony::record
