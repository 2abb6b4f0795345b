#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include <polyphony/record/run.h>

namespace polyphony::record {

/// While it lives, what the process writes to standard output and standard error goes to a file
/// beside: through tee(1), a process of its own, so that the last words of a killed run arrive both
/// there and on the terminal. terminal_info() still describes the terminal.
class ConsoleCapture {
 public:
  /// @param file  appended to. Where tee cannot be started, nothing is captured and started() says
  /// so.
  explicit ConsoleCapture(const std::filesystem::path& file);
  /// Puts the descriptors back and waits until tee has written all.
  ~ConsoleCapture();
  ConsoleCapture(const ConsoleCapture&) = delete;
  ConsoleCapture& operator=(const ConsoleCapture&) = delete;

  bool started() const { return !streams_.empty(); }

 private:
  struct Stream {
    std::vector<int> descriptors;  ///< 1, 2 or both
    int original = -1;
    pid_t tee = 0;
  };
  bool redirect(std::vector<int> descriptors, const std::filesystem::path& file);

  std::vector<Stream> streams_;
};

/// Reads the whole lines that a file has gained.
class ConsoleTail {
 public:
  explicit ConsoleTail(std::filesystem::path file);
  /// Lines as a terminal shows them: what stands behind the last carriage return, without escape
  /// sequences. Progress that is drawn over and over gives its last state only.
  std::vector<ConsoleLine> next();

 private:
  std::filesystem::path file_;
  std::size_t offset_ = 0;
};

}  // namespace polyphony::record
