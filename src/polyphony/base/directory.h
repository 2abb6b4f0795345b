#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <polyphony/base/descriptor.h>

namespace polyphony {

/// One name for a directory, from the first call on: absolute, without `..`, symbolic links and a
/// slash at its end, whether it is there yet or not.
std::filesystem::path absolute_directory(const std::filesystem::path& path);

/// Keeps other runs, in other processes or in this one, from writing into a directory, and tells
/// them whose it is (DirectoryLock tells nobody, and leaves no file). The kernel lets go of the
/// lock when the process ends, however it ends; ranks of one run hold it by rank 0.
class RunLock {
 public:
  /// Makes the directory. Where the file system has no locks, or cannot be written to, a warning is
  /// printed and nothing is held.
  /// @param owner  who asks: asking twice gives the same lock
  /// @param holder  of whom a refused run reads, e.g. the run's directory
  /// @param remedy  what a refused user can do
  /// @throws IoError naming who holds it: process, host and what `holder` said
  static std::shared_ptr<RunLock> acquire(const std::filesystem::path& directory, const void* owner,
                                          const std::string& holder, const std::string& remedy);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// The lock's file in a directory that is held.
  static constexpr const char* kFileName = ".lock";

 private:
  RunLock(std::filesystem::path file, int fd) : file_(std::move(file)), fd_(fd) {}

  std::filesystem::path file_;
  Descriptor fd_;
};

}  // namespace polyphony
