#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <polyphony/base/files.h>

namespace polyphony::dist {

/// A program that a test starts and ends; what it prints goes to a file.
class Process {
 public:
  Process(std::vector<std::string> command, std::filesystem::path output)
      : output_(std::move(output)) {
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int file = open(output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(file, STDOUT_FILENO);
      dup2(file, STDERR_FILENO);
      execvp(arguments.front(), arguments.data());
      _exit(127);
    }
    ::close(file);
  }
  ~Process() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  std::string output() const { return read_file(output_); }

  /// The exit code; 128 + the signal's number where one ended it; -1 where it still runs after
  /// `bound`, which is far above what it needs.
  int wait(std::chrono::seconds bound = std::chrono::seconds(120)) {
    const auto end = std::chrono::steady_clock::now() + bound;
    int status = 0;
    while (waitpid(pid_, &status, WNOHANG) != pid_) {
      if (std::chrono::steady_clock::now() > end) return -1;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  std::filesystem::path output_;
  pid_t pid_ = -1;
};

/// Waits until `fact` holds. @returns false where it does not within a minute
template <typename Fact>
bool eventually(Fact fact, std::chrono::seconds bound = std::chrono::seconds(60)) {
  const auto end = std::chrono::steady_clock::now() + bound;
  while (!fact()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace polyphony::dist
