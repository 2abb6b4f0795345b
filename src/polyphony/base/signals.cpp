#include <polyphony/base/signals.h>

#include <atomic>
#include <csignal>

namespace polyphony {
namespace {

std::atomic<int> requested_signal{0};
struct sigaction old_interrupt;
struct sigaction old_terminate;

void handle(int number) {
  requested_signal.store(number);
  std::signal(number, SIG_DFL);  // the second one ends the process
}

}  // namespace

StopSignals::StopSignals() {
  requested_signal.store(0);
  struct sigaction action {};
  action.sa_handler = handle;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &old_interrupt);
  sigaction(SIGTERM, &action, &old_terminate);
}

StopSignals::~StopSignals() {
  sigaction(SIGINT, &old_interrupt, nullptr);
  sigaction(SIGTERM, &old_terminate, nullptr);
  requested_signal.store(0);
}

int StopSignals::requested() { return requested_signal.load(std::memory_order_relaxed); }

void StopSignals::request(int signal_number) { requested_signal.store(signal_number); }

Interrupted::Interrupted(int signal_number, const std::filesystem::path& checkpoint)
    : Interrupted(signal_number, checkpoint,
                  "to go on exactly where it stopped, give the same command with ckpt_path=" +
                      checkpoint.string()) {}

Interrupted::Interrupted(int signal_number, const std::filesystem::path& checkpoint,
                         const std::string& remedy)
    : Error(signal_number == SIGTERM ? ExitCode::kTerminated : ExitCode::kInterrupted,
            signal_number == SIGTERM ? "stopped by SIGTERM; everything is saved"
                                     : "stopped by Ctrl-C; everything is saved",
            remedy),
      checkpoint_(checkpoint) {}

}  // namespace polyphony
