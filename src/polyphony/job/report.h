#pragma once

#include <exception>
#include <string>
#include <vector>

#include <polyphony/base/failure.h>

namespace polyphony::job {

/// As polyphony::failure_of. Of an error of composition the text also says, under
/// HYDRA_FULL_ERROR=1, its class as Hydra names it, the key, and the file and line.
Failure failure_of(const std::exception& error);

/// Prints a failure to standard error.
/// @param overrides  of the job whose task failed; null where no task had begun
void print_failure(const Failure& failure, const std::vector<std::string>* overrides = nullptr);

}  // namespace polyphony::job
