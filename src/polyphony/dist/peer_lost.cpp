#include <polyphony/dist/peer_lost.h>

namespace polyphony::dist {

PeerLost::PeerLost(int rank, const std::string& what)
    : Error(ExitCode::kPeer, what,
            "look at that process's own error, in rank-N.log of the run directory; then give the "
            "same command with ckpt_path=RUN/checkpoints/last.ckpt to go on from the last "
            "checkpoint"),
      rank_(rank) {}

}  // namespace polyphony::dist
