#pragma once

#include <string>

#include <polyphony/base/error.h>

namespace polyphony::dist {

/// Another process of the run has died, hangs or cannot be reached, so this one cannot go on.
class PeerLost : public Error {
 public:
  /// @param rank  of the lost process; -1 if nobody can tell
  PeerLost(int rank, const std::string& what);

  int rank() const { return rank_; }

 private:
  int rank_;
};

}  // namespace polyphony::dist
