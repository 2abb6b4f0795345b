#pragma once

#include <exception>
#include <string>
#include <vector>

namespace polyphony::job {

/// How something went wrong: what to tell the user, and the exit code of the error's class.
struct Failure {
  int exit_code = 0;
  std::string text;
};

/// Reads the exception. Under HYDRA_FULL_ERROR=1 the text also says the error's class as Hydra
/// names it, the key, and the file and line.
Failure failure_of(const std::exception& error);

/// Prints a failure to standard error.
/// @param overrides  of the job whose task failed; null where no task had begun
void print_failure(const Failure& failure, const std::vector<std::string>* overrides = nullptr);

}  // namespace polyphony::job
