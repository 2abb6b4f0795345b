#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <polyphony/dist/peer_lost.h>
#include <polyphony/dist/socket.h>

namespace polyphony::dist {

/// Tells, from a thread of its own, when another process of the run dies, hangs, fails or is cut
/// off, and which one it was.
///
/// Rank 0 holds one connection to every other rank; both ends say every tenth of the timeout that
/// they are there. A closed connection is known at once, silence after half the timeout, and rank 0
/// tells all others. A process whose own thread does not come to its end within a further quarter
/// of the timeout is ended, so that all is over within one timeout.
class PeerWatch {
 public:
  struct Options {
    int rank = 0;
    std::vector<std::string> hosts;  ///< of each rank, for messages
    std::chrono::milliseconds timeout{60000};
    /// Called once, on the watch's thread, when a peer is lost.
    std::function<void(const PeerLost&)> on_loss;
    /// Ends the process whose own thread does not leave in time.
    std::function<void(const PeerLost&)> give_up;
  };

  /// Rank 0's side. @param listener  where the others will connect
  PeerWatch(Options options, Socket listener);
  /// Another rank's side. @throws IoError if rank 0 cannot be reached
  PeerWatch(Options options, const std::string& address, int port);
  /// Leaves; a process that neither left nor failed before is taken as ended by the others.
  ~PeerWatch();
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;

  /// This process has come to its next exchange with the others.
  void advance() { progress_.fetch_add(1, std::memory_order_relaxed); }
  /// This process is done and will not be missed.
  void leave();
  /// This process ends by an error, which the others are told.
  void fail(const std::string& error);

  /// Waits until a peer is known to be lost. @returns nullopt after `patience`
  std::optional<PeerLost> loss_within(std::chrono::milliseconds patience);
  /// How long it can take until a loss is known.
  std::chrono::milliseconds detection_time() const;
  /// A rank that has come to fewer exchanges than this one; nullopt if there is none.
  std::optional<int> laggard() const;
  /// "rank 2 (host b)"
  std::string name(int rank) const;

 private:
  using Clock = std::chrono::steady_clock;

  struct Peer {
    int rank = -1;  ///< -1 until it has said so
    Socket socket;
    std::string input;  ///< an unfinished line
    Clock::time_point heard;
    bool left = false;
  };

  void run();
  void wait_for_input();
  void accept_peers();
  void read(Peer& peer);
  void take_line(Peer& peer, const std::string& line);
  void closed(Peer& peer, const std::string& reason);
  void look_for_silence(Clock::time_point now);
  void beat();
  void lose(int rank, const std::string& reason);
  void send_all(const std::string& line, int except = -1);
  void part();

  Options options_;
  Socket listener_;
  Socket wake_;  ///< an eventfd
  std::atomic<std::int64_t> progress_{0};
  mutable std::mutex mutex_;
  std::condition_variable lost_changed_;
  std::vector<Peer> peers_;
  std::vector<std::int64_t> progress_of_;  ///< of each rank, as last heard
  std::optional<PeerLost> lost_;
  Clock::time_point lost_at_;
  bool ending_ = false;  ///< this process has left or failed
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace polyphony::dist
