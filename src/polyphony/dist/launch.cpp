#include <polyphony/dist/launch.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/failure.h>
#include <polyphony/base/files.h>
#include <polyphony/base/last_line.h>
#include <polyphony/base/notice.h>
#include <polyphony/base/signals.h>
#include <polyphony/dist/socket.h>
#include <polyphony/record/host.h>

namespace polyphony::dist {
namespace {

using Clock = std::chrono::steady_clock;
using Variables = std::map<std::string, std::string>;

struct Child {
  int rank = 0;
  pid_t pid = -1;
  bool running = true;
  bool ended_by_us = false;  ///< it outstayed the others
  int status = 0;
};

/// A signal as its handler saw it. `number` is 0 for SIGCHLD.
struct Arrival {
  int number = 0;
  Sender sender = Sender::kOther;
  int order = 0;
};

/// Signals become messages in a pipe. Handlers serve all threads of a process; a blocked signal
/// mask would not reach those that a library started before.
class SignalPipe {
 public:
  SignalPipe() {
    if (pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
      throw IoError(fmt::format("cannot make a pipe: {}", std::strerror(errno)),
                    "close other programs: no file descriptor is left");
    }
    write_end = ends_[1];
    parent = getppid();
    struct sigaction action {};
    action.sa_sigaction = [](int number, siginfo_t* info, void*) {
      const int error = errno;
      Arrival arrival;
      if (number != SIGCHLD) {
        arrival.number = number;
        arrival.sender = sender_of(*info, parent, arrival.order);
      }
      [[maybe_unused]] const ssize_t written = ::write(write_end, &arrival, sizeof arrival);
      errno = error;
    };
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
      sigaction(kSignals[i], &action, &old_[i]);
      // What is ignored stays so (nohup).
      const bool ignored = old_[i].sa_handler == SIG_IGN;
      if (kSignals[i] == SIGHUP && ignored) sigaction(kSignals[i], &old_[i], nullptr);
    }
  }
  ~SignalPipe() {
    restore();
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  /// Back to what signals did before.
  void restore() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
      sigaction(kSignals[i], &old_[i], nullptr);
    }
  }
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;

  /// Waits for signals. @returns those that ask for a stop
  std::vector<Arrival> wait(std::chrono::milliseconds patience) {
    pollfd waiting{ends_[0], POLLIN, 0};
    poll(&waiting, 1, static_cast<int>(patience.count()));
    std::vector<Arrival> arrivals;
    Arrival arrival;
    while (::read(ends_[0], &arrival, sizeof arrival) == sizeof arrival) {
      if (arrival.number != 0) arrivals.push_back(arrival);
    }
    return arrivals;
  }

 private:
  static constexpr std::array kSignals = {SIGCHLD, SIGUSR1, SIGHUP, SIGINT, SIGTERM};
  inline static volatile sig_atomic_t write_end = -1;
  inline static volatile pid_t parent = 0;
  std::array<int, 2> ends_{};
  std::array<struct sigaction, kSignals.size()> old_;
};

/// What a rank's process does and returns, as the program's own `main`.
int exit_code_of(const std::function<void()>& work) {
  try {
    work();
    return 0;
  } catch (const std::exception& error) {
    const Failure failure = failure_of(error);
    note("polyphony: {}", failure.text);
    return failure.exit_code;
  }
}

/// @param reset  undoes in the child what the parent needs for itself
pid_t start(const Variables& variables, const std::function<void()>& reset,
            const std::function<void()>& work) {
  std::fflush(nullptr);  // or both would print what waits
  const pid_t parent = getpid();
  HeldSignals held;  // until the child has handlers of its own
  const pid_t pid = fork();
  if (pid < 0) {
    throw IoError(fmt::format("cannot start a process: {}", std::strerror(errno)),
                  "use fewer devices, or close other programs");
  }
  if (pid > 0) return pid;
  // The kernel ends this process when its parent dies, however that dies.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(static_cast<int>(ExitCode::kPeer));
  reset();
  StopSignals::forget();
  held.release();
  for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  const int code = exit_code_of(work);
  std::fflush(nullptr);
  _exit(code);
}

/// What all ranks of this launch have in common.
Variables shared_variables(const LaunchOptions& options, const Environment& environment) {
  Variables variables;
  variables["WORLD_SIZE"] = std::to_string(options.devices * options.num_nodes);
  variables["LOCAL_WORLD_SIZE"] = std::to_string(options.devices);
  const std::string threads = std::to_string(threads_of_rank(options.threads, options.devices));
  for (const char* name : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}) {
    variables[name] = environment(name).value_or(threads);
  }
  if (options.num_nodes > 1) {
    for (const char* name : {"MASTER_ADDR", "NODE_RANK"}) {
      if (environment(name)) continue;
      throw ConfigError(
          fmt::format("num_nodes={}: environment variable {} is missing", options.num_nodes, name),
          "on each host set MASTER_ADDR to the first host's address and NODE_RANK to "
          "the host's number from 0; or let torchrun, mpirun or srun start the run");
    }
    variables["MASTER_ADDR"] = *environment("MASTER_ADDR");
    variables["MASTER_PORT"] =
        environment("MASTER_PORT").value_or(std::to_string(World{}.master_port));
  } else {
    variables["MASTER_ADDR"] = "127.0.0.1";
    variables["MASTER_PORT"] = environment("MASTER_PORT").value_or(std::to_string(free_port()));
  }
  return variables;
}

int first_rank(const LaunchOptions& options, const Environment& environment) {
  const std::string text = environment("NODE_RANK").value_or("0");
  const bool digits =
      !text.empty() && text.size() < 8 &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || std::stoi(text) >= options.num_nodes) {
    throw ConfigError(fmt::format("environment variable NODE_RANK='{}': not a number from 0 to {}",
                                  text, options.num_nodes - 1),
                      "it is this host's number among the num_nodes hosts");
  }
  return std::stoi(text) * options.devices;
}

void signal_all(const std::vector<Child>& children, int number) {
  for (const Child& child : children) {
    if (child.running) kill(child.pid, number);
  }
}

/// Ends and reaps all children when it goes, however that comes.
struct Children {
  std::vector<Child> all;
  ~Children() {
    signal_all(all, SIGKILL);
    for (Child& child : all) {
      while (child.running && waitpid(child.pid, &child.status, 0) < 0 && errno == EINTR) {
      }
    }
  }

  bool any_running() const {
    return std::any_of(all.begin(), all.end(), [](const Child& child) { return child.running; });
  }
  /// Takes note of those that have ended, and of those among them that failed.
  void reap(std::vector<const Child*>& failed) {
    for (Child& child : all) {
      if (!child.running || waitpid(child.pid, &child.status, WNOHANG) != child.pid) continue;
      child.running = false;
      if (child.status != 0) failed.push_back(&child);
    }
  }
  void end() {
    for (Child& child : all) child.ended_by_us = child.ended_by_us || child.running;
    signal_all(all, SIGKILL);
  }
};

bool ended_with(const Child& child, ExitCode code) {
  return WIFEXITED(child.status) && WEXITSTATUS(child.status) == static_cast<int>(code);
}

/// The signal that stopped a child, whether it saved its state first or not; 0 if none did.
int stopped_by(const Child& child) {
  if (WIFEXITED(child.status)) return stop_signal_of(WEXITSTATUS(child.status));
  return signal_of_strength(strength_of(WTERMSIG(child.status)));
}

/// Hands requests to stop on to the children: each signal once, and an end at once.
class HandingOn {
 public:
  explicit HandingOn(const Children& children) : children_(children) {}

  void take(const Arrival& arrival) {
    const double now = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
    const auto meaning = requests_.note(arrival.number, arrival.sender, now, arrival.order);
    give(arrival.number, meaning == StopRequests::Meaning::kAtOnce ? 2 : 1);
  }
  /// What stopped one child is for all of them.
  void take(const Child& ended) {
    if (const int number = stopped_by(ended); number != 0) give(number, 1);
  }

 private:
  void give(int number, int order) {
    int& given = given_[number];
    if (order <= given) return;
    given = order;
    for (const Child& child : children_.all) {
      if (child.running) hand_on(child.pid, number, order);
    }
  }

  const Children& children_;
  StopRequests requests_;
  std::map<int, int> given_;  ///< a signal, and the order that it was handed on with
};

/// How long the others may stay when this child has failed. They end by themselves, and can say
/// more than we can.
std::optional<std::chrono::milliseconds> patience_after(const Child& failed,
                                                        std::chrono::milliseconds timeout) {
  if (stopped_by(failed) != 0) return std::nullopt;  // the others are saving
  return ended_with(failed, ExitCode::kPeer) ? timeout / 2 : timeout;
}

/// The child to blame: the first that failed by itself, else the first that failed at all.
const Child& culprit(const std::vector<const Child*>& failed) {
  const auto own = std::find_if(failed.begin(), failed.end(), [](const Child* child) {
    return !ended_with(*child, ExitCode::kPeer);
  });
  return own != failed.end() ? **own : *failed.front();
}

/// Throws what the launch ends with, if any rank failed.
void give_verdict(const std::vector<const Child*>& failed) {
  if (failed.empty()) return;
  const Child& child = culprit(failed);
  const std::string name =
      fmt::format("rank {} (host {}, pid {})", child.rank, record::host_name(), child.pid);
  if (WIFEXITED(child.status)) {
    const int code = WEXITSTATUS(child.status);
    throw Error(static_cast<ExitCode>(code), fmt::format("{} ended with exit code {}", name, code),
                child.rank == 0 ? "its own words are above"
                                : fmt::format("its own words are above, or in rank-{}.log of the "
                                              "run directory",
                                              child.rank));
  }
  if (child.ended_by_us) {
    throw PeerLost(child.rank, name + " did not end when the others did, and was ended");
  }
  const int number = WTERMSIG(child.status);
  if (stopped_by(child) != 0) {
    throw Error(static_cast<ExitCode>(128 + number),
                fmt::format("{} was ended by signal {} ({})", name, number, strsignal(number)),
                "what had been saved is there: go on from the last checkpoint with ckpt_path=");
  }
  throw PeerLost(child.rank,
                 fmt::format("{} was ended by signal {} ({})", name, number, strsignal(number)));
}

/// Waits for all children; those that outstay the first failure for too long are ended.
void supervise(Children& children, SignalPipe& signals, std::chrono::milliseconds timeout) {
  std::vector<const Child*> failed;
  std::optional<Clock::time_point> deadline;
  HandingOn handing_on(children);
  constexpr std::chrono::milliseconds kLook{1000};
  while (true) {
    const std::size_t known = failed.size();
    children.reap(failed);
    for (std::size_t i = known; i < failed.size(); ++i) handing_on.take(*failed[i]);
    if (!children.any_running()) break;
    const Clock::time_point now = Clock::now();
    if (!failed.empty() && !deadline) {
      if (const auto patience = patience_after(*failed.front(), timeout)) {
        deadline = now + *patience;
      }
    }
    if (deadline && now > *deadline) children.end();
    for (const Arrival& arrival : signals.wait(kLook)) handing_on.take(arrival);
  }
  give_verdict(failed);
}

}  // namespace

void launch(const LaunchOptions& options, const Environment& environment,
            const std::function<void()>& work) {
  Variables variables = shared_variables(options, environment);
  const int first = first_rank(options, environment);
  SignalPipe signals;
  Children children;
  for (int local = 0; local < options.devices; ++local) {
    variables["RANK"] = std::to_string(first + local);
    variables["LOCAL_RANK"] = std::to_string(local);
    Child child;
    child.rank = first + local;
    child.pid = start(
        variables, [&signals] { signals.restore(); }, work);
    children.all.push_back(child);
  }
  supervise(children, signals, options.timeout);
}

void log_to_file(int rank, const std::filesystem::path& run_directory) {
  make_directory(run_directory);
  const std::filesystem::path path = run_directory / fmt::format("rank-{}.log", rank);
  std::fflush(stdout);
  std::fflush(stderr);
  end_last_line(path);
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0 || dup2(file, STDOUT_FILENO) < 0 || dup2(file, STDERR_FILENO) < 0) {
    throw IoError(fmt::format("{}: {}", path.string(), std::strerror(errno)),
                  "the run directory must exist, and be writable, on every host");
  }
  ::close(file);
}

}  // namespace polyphony::dist
