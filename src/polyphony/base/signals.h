#pragma once

#include <sys/types.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <string>

#include <polyphony/base/error.h>

namespace polyphony {

/// The signals that ask a run to stop, the weakest first: where several came, or each process got
/// another, the last of them counts. SIGUSR1 is a batch system's warning before its time limit.
inline constexpr std::array kStopSignals = {SIGUSR1, SIGHUP, SIGINT, SIGTERM};

/// A signal's place in kStopSignals from 1 on; 0 for none, and for any other signal. And back.
int strength_of(int signal_number);
int signal_of_strength(int strength);

/// The signal that a run with this exit code was stopped by (128 + its number); 0 for other codes.
int stop_signal_of(int exit_code);

/// Who sent a signal.
enum class Sender {
  kTerminal,  ///< the kernel, for a key or a terminal that went away
  kLauncher,  ///< our own parent by hand_on, which says which request it is
  kParent,    ///< another parent: torchrun, srun, mpirun, timeout, a shell
  kOther
};

/// Tells a new request to stop from a copy of one. One request reaches a process several times:
/// from the terminal and from a launcher that hands it on, or from a batch system that signals
/// every process of a job.
///
/// SIGINT and SIGTERM are counted. The first asks for a stop, a second request for an end at once.
/// A parent's signal is a copy while it has sent no more of them than were asked for before; what
/// others send is one for a second after the last request. A second Ctrl-C is a request at any
/// time. SIGHUP and SIGUSR1 ask for a stop too, and never for an end at once.
class StopRequests {
 public:
  enum class Meaning { kStop, kCopy, kAtOnce };

  /// @param seconds  of a steady clock; @param order  of kLauncher: the number of the request
  Meaning note(int signal_number, Sender sender, double seconds, int order = 0);
  /// The strongest signal so far; 0 for none.
  int strongest() const { return signal_of_strength(strength_); }

 private:
  Meaning request(int order, double seconds);

  int strength_ = 0;
  int asked_ = 0;  ///< requests by SIGINT and SIGTERM
  double asked_at_ = 0;
  int by_terminal_ = 0;
  int by_parent_ = 0;
  double by_parent_at_ = 0;
};

/// Who sent the signal that a handler was given. @param parent  this process's
/// @param order  gets the number of the request where the launcher sent it
Sender sender_of(const siginfo_t& info, pid_t parent, int& order);
/// Sends a signal to a child process, as the nth request to stop.
void hand_on(pid_t child, int signal_number, int order);

/// While one lives, the first of kStopSignals asks for a stop instead of ending the process, and a
/// second request ends it at once (StopRequests). They may be nested; what was asked for is
/// forgotten with the outermost. An ignored SIGHUP stays ignored (nohup).
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// One that lives until the process ends, so that a late copy does not end it while it says its
  /// last.
  static void until_exit();
  /// In the child of a fork: stop signals do what they did before the parent's first StopSignals,
  /// and nothing was asked for.
  static void forget();
  /// The signal that asked for a stop; 0 where none has.
  static int requested();
  /// Asks for a stop as the signal would (for tests).
  static void request(int signal_number);
};

/// While it lives, stop signals wait: for a fork whose child is to have its own handlers first.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals() { release(); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  void release();

 private:
  sigset_t before_;
  bool held_ = true;
};

/// A run that was stopped by a signal, after it had saved its state.
class Interrupted : public Error {
 public:
  Interrupted(int signal_number, const std::filesystem::path& checkpoint);
  /// The same for a run that goes on another way. @param remedy  how
  static Interrupted with_remedy(int signal_number, const std::filesystem::path& checkpoint,
                                 const std::string& remedy);
  /// Stopped where there was nothing to save.
  static Interrupted unsaved(int signal_number,
                             const std::string& remedy = "to go on, give the same command again");

  int signal_number() const { return signal_number_; }
  /// Empty where there was nothing to save.
  const std::filesystem::path& checkpoint() const { return checkpoint_; }

 private:
  Interrupted(int signal_number, std::filesystem::path checkpoint, const std::string& fact,
              const std::string& remedy);

  int signal_number_;
  std::filesystem::path checkpoint_;
};

/// Throws Interrupted where a stop was asked for and there is nothing to save.
void stop_if_requested();

}  // namespace polyphony
