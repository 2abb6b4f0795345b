#include <polyphony/base/signals.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>

#include <polyphony/base/assignment.h>

namespace polyphony {
namespace {

/// Within it, what others than the terminal send is a copy of the request before.
constexpr double kCopySeconds = 1.0;
/// Marks a signal that `hand_on` sent; the number of the request is added.
constexpr int kHandedOn = 0x504f4c00;

double monotonic_seconds() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// What the handler knows. It runs on any thread; stop signals are blocked while it does.
struct Heard {
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
  StopRequests requests;
  std::atomic<int> strongest{0};
  pid_t parent = 0;
};
Heard heard;

int nesting = 0;
std::array<struct sigaction, kStopSignals.size()> old_actions;

sigset_t stop_set() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kStopSignals) sigaddset(&set, number);
  return set;
}

void handle(int number, siginfo_t* info, void*) {
  const int error = errno;
  int order = 0;
  const Sender sender = sender_of(*info, heard.parent, order);
  while (heard.busy.test_and_set(std::memory_order_acquire)) {
  }
  const auto meaning = heard.requests.note(number, sender, monotonic_seconds(), order);
  heard.strongest.store(heard.requests.strongest());
  heard.busy.clear(std::memory_order_release);
  if (meaning == StopRequests::Meaning::kAtOnce) {
    // The first process of a container is not ended by a signal's default.
    if (getpid() == 1) _exit(128 + number);
    std::signal(number, SIG_DFL);
    raise(number);  // arrives when this handler returns
  }
  errno = error;
}

std::string reason(int signal_number) {
  switch (signal_number) {
    case SIGINT:
      return "stopped by Ctrl-C";
    case SIGHUP:
      return "stopped by SIGHUP (the terminal is gone)";
    case SIGUSR1:
      return "stopped by SIGUSR1 (the batch system's warning)";
    default:
      return "stopped by SIGTERM";
  }
}

}  // namespace

int strength_of(int signal_number) {
  const auto* const found = std::find(kStopSignals.begin(), kStopSignals.end(), signal_number);
  return found == kStopSignals.end() ? 0 : static_cast<int>(found - kStopSignals.begin()) + 1;
}

int signal_of_strength(int strength) {
  return strength == 0 ? 0 : kStopSignals[static_cast<std::size_t>(strength - 1)];
}

int stop_signal_of(int exit_code) { return signal_of_strength(strength_of(exit_code - 128)); }

StopRequests::Meaning StopRequests::request(int order, double seconds) {
  asked_ = order;
  asked_at_ = seconds;
  return asked_ == 1 ? Meaning::kStop : Meaning::kAtOnce;
}

StopRequests::Meaning StopRequests::note(int signal_number, Sender sender, double seconds,
                                         int order) {
  const bool first = strength_ == 0;
  strength_ = std::max(strength_, strength_of(signal_number));
  if (signal_number == SIGHUP || signal_number == SIGUSR1) {
    return first ? Meaning::kStop : Meaning::kCopy;
  }
  const bool late = asked_ == 0 || seconds - asked_at_ > kCopySeconds;
  bool fresh = late;
  switch (sender) {
    case Sender::kLauncher:
      return order > asked_ ? request(order, seconds) : Meaning::kCopy;
    case Sender::kTerminal:
      fresh = ++by_terminal_ > asked_ || late;
      break;
    case Sender::kParent:
      // `timeout` signals its child, and then the group that the child is in.
      if (by_parent_ > 0 && seconds - by_parent_at_ <= kCopySeconds) return Meaning::kCopy;
      by_parent_at_ = seconds;
      fresh = ++by_parent_ > asked_;
      break;
    case Sender::kOther:
      break;
  }
  return fresh ? request(asked_ + 1, seconds) : Meaning::kCopy;
}

Sender sender_of(const siginfo_t& info, pid_t parent, int& order) {
  order = 0;
  if (info.si_code == SI_KERNEL) return Sender::kTerminal;
  if (info.si_pid != parent) return Sender::kOther;
  const int mark = info.si_code == SI_QUEUE ? info.si_value.sival_int - kHandedOn : 0;
  if (mark < 1 || mark > 2) return Sender::kParent;
  order = mark;
  return Sender::kLauncher;
}

void hand_on(pid_t child, int signal_number, int order) {
  sigval value{};
  value.sival_int = kHandedOn + std::min(order, 2);
  // Where no signal can be queued, one that is not says nearly as much.
  if (sigqueue(child, signal_number, value) != 0 && errno == EAGAIN) kill(child, signal_number);
}

StopSignals::StopSignals() {
  if (nesting++ > 0) return;
  heard.parent = getppid();
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_mask = stop_set();
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  for (std::size_t i = 0; i < kStopSignals.size(); ++i) {
    sigaction(kStopSignals[i], nullptr, &old_actions[i]);
    const bool ignored = old_actions[i].sa_handler == SIG_IGN;
    if (kStopSignals[i] != SIGHUP || !ignored) sigaction(kStopSignals[i], &action, nullptr);
  }
}

StopSignals::~StopSignals() {
  if (nesting == 1) forget();
  nesting = std::max(0, nesting - 1);
}

void StopSignals::forget() {
  if (nesting > 0) {
    for (std::size_t i = 0; i < kStopSignals.size(); ++i) {
      sigaction(kStopSignals[i], &old_actions[i], nullptr);
    }
  }
  nesting = 0;
  heard.requests = {};
  heard.strongest.store(0);
}

void StopSignals::until_exit() {
  static const StopSignals* const kKept = new StopSignals;
  static_cast<void>(kKept);
}

int StopSignals::requested() { return heard.strongest.load(std::memory_order_relaxed); }

void StopSignals::request(int signal_number) {
  heard.strongest.store(
      signal_of_strength(std::max(strength_of(signal_number), strength_of(requested()))));
}

HeldSignals::HeldSignals() {
  const sigset_t held = stop_set();
  pthread_sigmask(SIG_BLOCK, &held, &before_);
}

void HeldSignals::release() {
  if (held_) pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  held_ = false;
}

Interrupted::Interrupted(int signal_number, const std::filesystem::path& checkpoint)
    : Interrupted(with_remedy(signal_number, checkpoint,
                              "to go on exactly where it stopped, give the same command with " +
                                  assignment("ckpt_path", checkpoint.string()))) {}

Interrupted::Interrupted(int signal_number, std::filesystem::path checkpoint,
                         const std::string& fact, const std::string& remedy)
    : Error(static_cast<ExitCode>(128 + signal_number), reason(signal_number) + "; " + fact,
            remedy),
      signal_number_(signal_number),
      checkpoint_(std::move(checkpoint)) {}

Interrupted Interrupted::with_remedy(int signal_number, const std::filesystem::path& checkpoint,
                                     const std::string& remedy) {
  return {signal_number, checkpoint, "everything is saved", remedy};
}

Interrupted Interrupted::unsaved(int signal_number, const std::string& remedy) {
  return {signal_number, {}, "there was nothing to save", remedy};
}

void stop_if_requested() {
  if (const int number = StopSignals::requested(); number != 0) throw Interrupted::unsaved(number);
}

}  // namespace polyphony
