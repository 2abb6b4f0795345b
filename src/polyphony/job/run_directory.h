#pragma once

#include <filesystem>

namespace polyphony::job {

/// Where one run keeps its files.
class RunDirectory {
 public:
  /// A new directory. Where one with content stands already (two runs in one second), "-1", "-2",
  /// ... is put behind the name; processes that race never get the same one.
  /// @throws IoError naming the path and the system's reason
  static RunDirectory create(const std::filesystem::path& wanted);
  /// The directory as named, whatever it holds; made where absent.
  /// @throws IoError naming the path and the system's reason
  static RunDirectory resume(const std::filesystem::path& existing);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path metrics_csv() const { return path_ / "metrics.csv"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path predictions() const { return path_ / "predictions"; }

 private:
  explicit RunDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace polyphony::job
