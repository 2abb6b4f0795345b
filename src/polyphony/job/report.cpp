#include <polyphony/job/report.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

#include <polyphony/base/notice.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/job/settings.h>

namespace polyphony::job {
namespace {

bool full_error() {
  const char* value = std::getenv("HYDRA_FULL_ERROR");
  return value != nullptr && std::string_view(value) == "1";
}

/// The parts of an error that its text may leave out.
std::string details(const config::ComposeError& error) {
  std::string text = "\n  class: " + error.original_class();
  if (!error.cause().empty()) text += "\n  caused by: " + error.cause();
  if (!error.key().empty()) text += "\n  key: " + error.key();
  if (!error.file().empty()) text += "\n  file: " + error.file();
  if (error.line() > 0) text += fmt::format("\n  line: {}", error.line());
  return text;
}

}  // namespace

Failure failure_of(const std::exception& error) {
  Failure failure = polyphony::failure_of(error);
  if (const auto* compose = dynamic_cast<const config::ComposeError*>(&error)) {
    failure.text += full_error()
                        ? details(*compose)
                        : "\n\nSet the environment variable HYDRA_FULL_ERROR=1 to see the error's "
                          "class, key and place.";
  }
  return failure;
}

void print_failure(const Failure& failure, const std::vector<std::string>* overrides) {
  std::fflush(stdout);
  if (overrides != nullptr) {
    note("Error executing job with overrides: {}", config::python_str(list_of(*overrides)));
  }
  note("{}", failure.text);
}

}  // namespace polyphony::job
