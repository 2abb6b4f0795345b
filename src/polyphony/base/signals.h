#pragma once

#include <filesystem>
#include <string>

#include <polyphony/base/error.h>

namespace polyphony {

/// While it lives, SIGINT and SIGTERM ask for a stop instead of ending the process; a second one
/// ends it at once. At most one lives at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The signal that asked for a stop; 0 where none has.
  static int requested();
  /// Asks for a stop as the signal would (for tests and for the handler).
  static void request(int signal_number);
};

/// A run that was stopped by a signal after it had saved its state.
class Interrupted : public Error {
 public:
  Interrupted(int signal_number, const std::filesystem::path& checkpoint);
  /// The same for a run that goes on another way. @param remedy  how
  static Interrupted with_remedy(int signal_number, const std::filesystem::path& checkpoint,
                                 const std::string& remedy) {
    return {signal_number, checkpoint, remedy};
  }
  const std::filesystem::path& checkpoint() const { return checkpoint_; }

 private:
  Interrupted(int signal_number, const std::filesystem::path& checkpoint,
              const std::string& remedy);

  std::filesystem::path checkpoint_;
};

}  // namespace polyphony
