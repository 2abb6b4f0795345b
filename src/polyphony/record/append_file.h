#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace polyphony::record {

/// A file that only grows. What flush() has handed to the system outlives a killed process; all
/// bytes gathered between two flushes go in one write where the system takes them.
class AppendFile {
 public:
  enum class Mode {
    kNew,       ///< an existing file is an error
    kContinue,  ///< goes on behind what is there
  };
  /// Makes missing parent directories. @throws IoError naming path and reason
  AppendFile(std::filesystem::path path, Mode mode);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void append(std::string_view bytes) { pending_ += bytes; }
  /// @throws IoError naming path and reason, also where the file is gone from its directory
  void flush();

  const std::filesystem::path& path() const { return path_; }
  /// Bytes in the file and waiting.
  std::size_t size() const { return written_ + pending_.size(); }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::size_t written_ = 0;
  std::string pending_;
};

}  // namespace polyphony::record
