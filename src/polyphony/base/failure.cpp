#include <polyphony/base/failure.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony {

Failure failure_of(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const Error*>(&error)) {
    return {static_cast<int>(ours->exit_code()), ours->what()};
  }
  return {static_cast<int>(ExitCode::kInternal),
          fmt::format("unexpected: {}\n  please report this with the command line", error.what())};
}

}  // namespace polyphony
