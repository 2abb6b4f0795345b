#include <polyphony/base/error.h>

namespace polyphony {

Error::Error(ExitCode code, const std::string& what, const std::string& remedy)
    : std::runtime_error(remedy.empty() ? what : what + "\n  " + remedy),
      code_(code),
      remedy_(remedy) {}

}  // namespace polyphony
