#include <polyphony/job/processes.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/last_line.h>
#include <polyphony/base/signals.h>

namespace polyphony::job {
namespace {

/// A signal that comes just before the wait is seen this much later.
constexpr int kWaitMilliseconds = 200;

void write_all(int descriptor, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(descriptor, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    done += static_cast<std::size_t>(count);
  }
}

/// What the child does; it never returns to the parent's code.
/// @param held  stop signals, which wait until this process has its own handlers
[[noreturn]] void be_child(int report, pid_t parent, HeldSignals& held,
                           const std::filesystem::path& output,
                           const std::function<Outcome()>& work) {
  StopSignals::forget();
  // A group of its own: the terminal's Ctrl-C reaches the parent only, which passes it on once.
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(static_cast<int>(ExitCode::kTerminated));
  held.release();
  if (!output.empty()) {
    end_last_line(output);
    const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0) {
      write_all(report, fmt::format("{}: {}", output.string(), std::strerror(errno)));
      _exit(static_cast<int>(ExitCode::kIo));
    }
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
  }
  const Outcome outcome = work();
  std::fflush(nullptr);
  write_all(report, outcome.failure.text);
  _exit(outcome.state == Outcome::State::kDone ? 0 : outcome.failure.exit_code);
}

}  // namespace

Processes::~Processes() {
  signal_all(SIGTERM);
  for (const auto& [pid, child] : children_) {
    close(child.report);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

void Processes::start(std::size_t id, const std::filesystem::path& output,
                      const std::function<Outcome()>& work) {
  std::fflush(nullptr);  // else the child would write our buffers a second time
  std::array<int, 2> ends{};
  const pid_t parent = getpid();
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw IoError(fmt::format("cannot start a job: {}", std::strerror(errno)),
                  "close other programs, or lower hydra.launcher.n_jobs");
  }
  HeldSignals held;
  const pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    be_child(ends[1], parent, held, output, work);
  }
  held.release();
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    throw IoError(fmt::format("cannot start a job: {}", std::strerror(errno)),
                  "close other programs, or lower hydra.launcher.n_jobs");
  }
  children_.emplace(pid, Child{id, ends[0], {}});
}

std::optional<std::pair<std::size_t, Outcome>> Processes::wait() {
  while (!children_.empty()) {
    std::vector<pollfd> polled;
    for (const auto& [pid, child] : children_) polled.push_back({child.report, POLLIN, 0});
    if (poll(polled.data(), polled.size(), kWaitMilliseconds) <= 0) return std::nullopt;
    std::size_t at = 0;
    for (auto& [pid, child] : children_) {
      if (polled[at++].revents == 0) continue;
      std::array<char, 4096> buffer{};
      const ssize_t count = read(child.report, buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count > 0) {
        child.text.append(buffer.data(), static_cast<std::size_t>(count));
        continue;
      }
      const std::size_t id = child.id;
      const pid_t ended = pid;
      const Outcome outcome = reap(ended, child);
      close(child.report);
      children_.erase(ended);
      return std::pair{id, outcome};
    }
  }
  return std::nullopt;
}

Outcome Processes::reap(pid_t pid, const Child& child) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {Outcome::State::kDone, {}};
  if (WIFEXITED(status)) {
    return {
        Outcome::State::kFailed,
        {WEXITSTATUS(status), child.text.empty() ? "the job ended without a word" : child.text}};
  }
  const int number = WTERMSIG(status);
  return {Outcome::State::kFailed,
          {128 + number, fmt::format("the job's process was ended by signal {} ({})", number,
                                     strsignal(number))}};
}

void Processes::signal_all(int number) const {
  for (const auto& [pid, child] : children_) hand_on(pid, number, 1);
}

}  // namespace polyphony::job
