#include <polyphony/record/console.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <thread>

#include <polyphony/base/signals.h>
#include <polyphony/base/terminal/terminal.h>
#include <polyphony/record/host.h>

extern char** environ;

namespace polyphony::record {
namespace {

/// Whether two descriptors are one file, e.g. the terminal.
bool same_file(int a, int b) {
  struct stat of_a {};
  struct stat of_b {};
  return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
         of_a.st_ino == of_b.st_ino;
}

void flush_streams() {
  std::cout.flush();
  std::fflush(nullptr);
}

/// tee that reads `input`, writes to `output` and appends to the file; 0 where it cannot be
/// started.
pid_t start_tee(int input, int output, const std::string& file) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  // Whatever stops the run (Ctrl-C, a batch system's signal to the whole group), tee stays until
  // the run has said its last: it ends with the pipe. -p: a reader that goes away does not end the
  // file.
  sigset_t kept_off;
  sigemptyset(&kept_off);
  for (const int signal : kStopSignals) sigaddset(&kept_off, signal);
  sigaddset(&kept_off, SIGQUIT);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &kept_off);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::array<std::string, 4> arguments = {"tee", "-p", "-a", file};
  std::array<char*, 5> argv{};
  std::transform(arguments.begin(), arguments.end(), argv.begin(),
                 [](std::string& argument) { return argument.data(); });
  pid_t child = 0;
  const int failed = posix_spawnp(&child, "tee", &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return failed == 0 ? child : 0;
}

/// Waits for a process that should end at once, at most two seconds: another process may have
/// inherited the pipe and still hold it.
void wait_for_end(pid_t child) {
  using namespace std::chrono_literals;
  for (int i = 0; i < 400; ++i) {
    const pid_t ended = waitpid(child, nullptr, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) return;
    std::this_thread::sleep_for(5ms);
  }
}

/// Without escape sequences (ESC [ … letter, ESC ] … BEL) and other control characters.
std::string plain(std::string_view line) {
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b' && i + 1 < line.size()) {
      const bool bracket = line[i + 1] == '[';
      const bool title = line[i + 1] == ']';
      ++i;
      if (!bracket && !title) continue;
      for (++i; i < line.size(); ++i) {
        if (bracket && line[i] >= '@' && line[i] <= '~') break;
        if (title && line[i] == '\a') break;
      }
    } else if (static_cast<unsigned char>(line[i]) >= ' ' || line[i] == '\t') {
      text += line[i];
    }
  }
  return text;
}

}  // namespace

ConsoleCapture::ConsoleCapture(const std::filesystem::path& file) {
  flush_streams();
  if (same_file(STDOUT_FILENO, STDERR_FILENO)) {
    redirect({STDOUT_FILENO, STDERR_FILENO}, file);
  } else if (redirect({STDOUT_FILENO}, file)) {
    redirect({STDERR_FILENO}, file);
  }
}

bool ConsoleCapture::redirect(std::vector<int> descriptors, const std::filesystem::path& file) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  Stream stream;
  stream.original = fcntl(descriptors.front(), F_DUPFD_CLOEXEC, 3);
  if (stream.original >= 0) stream.tee = start_tee(ends[0], stream.original, file.string());
  close(ends[0]);
  if (stream.tee == 0) {
    close(ends[1]);
    if (stream.original >= 0) close(stream.original);
    return false;
  }
  for (const int descriptor : descriptors) {
    describe_terminal_of(descriptor, stream.original);
    dup2(ends[1], descriptor);
  }
  close(ends[1]);
  stream.descriptors = std::move(descriptors);
  streams_.push_back(std::move(stream));
  return true;
}

ConsoleCapture::~ConsoleCapture() {
  flush_streams();
  for (const Stream& stream : streams_) {
    for (const int descriptor : stream.descriptors) {
      dup2(stream.original, descriptor);
      describe_terminal_of(descriptor, descriptor);
    }
  }
  for (const Stream& stream : streams_) {
    wait_for_end(stream.tee);
    close(stream.original);
  }
}

ConsoleTail::ConsoleTail(std::filesystem::path file) : file_(std::move(file)) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file_, error);
  if (!error) offset_ = size;
}

std::vector<ConsoleLine> ConsoleTail::next() {
  std::error_code error;
  const auto size = std::filesystem::file_size(file_, error);
  if (!error && size < offset_) offset_ = 0;  // somebody has emptied it
  std::ifstream in(file_, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset_));
  std::vector<ConsoleLine> lines;
  const double time = now();
  for (std::string line; std::getline(in, line) && !in.eof();) {
    offset_ += line.size() + 1;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const std::size_t drawn = line.rfind('\r');
    lines.push_back({0, time, plain(drawn == std::string::npos ? line : line.substr(drawn + 1))});
  }
  return lines;
}

}  // namespace polyphony::record
