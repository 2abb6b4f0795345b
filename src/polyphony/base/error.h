#pragma once

#include <stdexcept>
#include <string>

namespace polyphony {

/// What the process returns for each class of failure. 0 is success.
enum class ExitCode : int {
  kConfig = 1,         ///< configuration or data description is wrong (Hydra's own code)
  kUsage = 2,          ///< the command line is wrong
  kData = 3,           ///< data missing, unreadable or unfit
  kIo = 4,             ///< a file could not be written or read
  kPeer = 5,           ///< another process of the run was lost
  kInternal = 70,      ///< a bug of ours
  kInterrupted = 130,  ///< Ctrl-C; state saved
  kTerminated = 143,   ///< SIGTERM; state saved
};

/// Base of everything that polyphony throws at a user: what went wrong and where, and how to mend
/// it.
class Error : public std::runtime_error {
 public:
  /// @param what    one line: place and fact, e.g. "configs/a.yaml:7: trainer.gpus: no such option"
  /// @param remedy  what the user can do; may be empty, may span lines
  Error(ExitCode code, const std::string& what, const std::string& remedy = {});

  ExitCode exit_code() const { return code_; }
  const std::string& remedy() const { return remedy_; }

 private:
  ExitCode code_;
  std::string remedy_;
};

/// Wrong configuration: unknown key, wrong type, missing value.
class ConfigError : public Error {
 public:
  ConfigError(const std::string& what, const std::string& remedy = {})
      : Error(ExitCode::kConfig, what, remedy) {}
};

/// Wrong command line.
class UsageError : public Error {
 public:
  UsageError(const std::string& what, const std::string& remedy = {})
      : Error(ExitCode::kUsage, what, remedy) {}
};

/// Data that is absent, unreadable, or unfit for the model.
class DataError : public Error {
 public:
  DataError(const std::string& what, const std::string& remedy = {})
      : Error(ExitCode::kData, what, remedy) {}
};

/// A file or directory that cannot be read or written.
class IoError : public Error {
 public:
  IoError(const std::string& what, const std::string& remedy = {})
      : Error(ExitCode::kIo, what, remedy) {}
};

}  // namespace polyphony
