#pragma once

#include <exception>
#include <string>

namespace polyphony {

/// How a program ends by an exception: what to tell the user, and the exit code of its class.
struct Failure {
  int exit_code = 0;
  std::string text;
};

/// Reads the exception. One that is no Error is a bug of ours.
Failure failure_of(const std::exception& error);

}  // namespace polyphony
