#include <polyphony/board/live.h>

#include <set>

#include <polyphony/base/notice.h>

namespace polyphony::board {
namespace {
constexpr std::size_t kKept = 100;  ///< changes that a listener may be late by
}

Live::Live(Refresh refresh, std::chrono::milliseconds interval)
    : refresh_(std::move(refresh)), interval_(interval), thread_([this] { work(); }) {}

Live::~Live() {
  stop();
  thread_.join();
}

void Live::stop() {
  const std::scoped_lock lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

bool Live::stopped() const {
  const std::scoped_lock lock(mutex_);
  return stopped_;
}

std::int64_t Live::version() const {
  const std::scoped_lock lock(mutex_);
  return version_;
}

void Live::work() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, interval_, [this] { return stopped_; })) {
    lock.unlock();
    std::vector<std::int64_t> runs;
    std::string failure;
    try {
      runs = refresh_();
    } catch (const std::exception& error) {
      failure = error.what();  // the store may come back: a disk remounted, a lock let go
    }
    lock.lock();
    if (!failure.empty() && failure != failure_) note("board: {}", failure);
    failure_ = failure;
    if (runs.empty()) continue;
    log_.emplace_back(++version_, std::move(runs));
    if (log_.size() > kKept) log_.pop_front();
    changed_.notify_all();
  }
}

std::optional<Live::News> Live::wait(std::int64_t version, std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [&] { return stopped_ || version_ != version; });
  if (stopped_ || version_ == version) return std::nullopt;
  News news{version_, {}, version > version_ || log_.front().first > version + 1};
  std::set<std::int64_t> runs;
  for (const auto& [number, changed] : log_) {
    if (number > version) runs.insert(changed.begin(), changed.end());
  }
  news.runs.assign(runs.begin(), runs.end());
  return news;
}

}  // namespace polyphony::board
