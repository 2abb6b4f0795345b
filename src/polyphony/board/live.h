#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace polyphony::board {

/// Looks for changes in the background and tells all who listen.
class Live {
 public:
  using Refresh = std::function<std::vector<std::int64_t>()>;

  /// @param refresh  returns the runs that changed since the last call; called from one thread
  Live(Refresh refresh, std::chrono::milliseconds interval);
  /// Stops.
  ~Live();
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  /// Wakes every listener for good.
  void stop();
  bool stopped() const;

  struct News {
    std::int64_t version = 0;
    std::vector<std::int64_t> runs;  ///< changed since the version asked about
    bool everything = false;         ///< so long ago that what changed is no longer known
  };
  std::int64_t version() const;
  /// Waits for changes after a version; nullopt where none came in time, or it was stopped.
  std::optional<News> wait(std::int64_t version, std::chrono::milliseconds limit) const;

 private:
  void work();

  Refresh refresh_;
  std::chrono::milliseconds interval_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::deque<std::pair<std::int64_t, std::vector<std::int64_t>>> log_;
  std::int64_t version_ = 0;
  bool stopped_ = false;
  std::string failure_;  ///< the last one reported
  std::thread thread_;
};

}  // namespace polyphony::board
