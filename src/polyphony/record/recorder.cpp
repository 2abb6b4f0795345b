#include <polyphony/record/recorder.h>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

namespace polyphony::record {
namespace {

using Clock = std::chrono::steady_clock;

Clock::duration span(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

/// A row, or something else to do.
struct Entry {
  Row row;
  Source source;  ///< null: the row
};

/// Which rows are of one kind, for thinning.
std::size_t signature(const Row& row) {
  std::size_t hash = row.values.size();
  for (const auto& [name, value] : row.values) {
    hash = hash * 31 + std::hash<std::string>{}(name);
  }
  return hash;
}

/// No signal is the recorder thread's to handle.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

/// Shared by the recorder and its thread, which outlives it where the system does not let it go.
struct Recorder::Core {
  // Only the thread's.
  std::vector<std::unique_ptr<Sink>> sinks;
  RecorderOptions options;
  std::vector<Source> sources;

  std::mutex mutex;
  std::condition_variable work;  ///< for the thread
  std::condition_variable done;  ///< for those that wait
  std::deque<Entry> queue;
  std::vector<Source> new_sources;
  std::size_t values = 0;    ///< in the queue
  std::int64_t queued = 0;   ///< entries ever
  std::int64_t flushed = 0;  ///< of these, with the system
  bool flush_now = false;
  bool stop = false;
  bool ended = false;
  State state = State::kInterrupted;
  std::string error;
  std::atomic<std::int64_t> left_out = 0;
  std::thread thread;

  void push(Entry entry);
  void thin();
  void run();
  void take(std::deque<Entry>& entries, std::int64_t& count);
  void deliver(const Action& action);
  void ask(const Source& source);
  void ask_sources();
  void warn(const std::string& text) const;
};

void Recorder::Core::warn(const std::string& text) const {
  if (options.warn) {
    options.warn(text);
  } else {
    fmt::print(stderr, "warning: {}\n", text);
  }
}

void Recorder::Core::push(Entry entry) {
  const std::lock_guard lock(mutex);
  values += entry.row.values.size();
  ++queued;
  queue.push_back(std::move(entry));
  if (values > options.most_values) thin();
  if (values > options.most_values / 2) work.notify_one();
}

/// Leaves out every second row of each kind of which many wait; the oldest where that frees
/// nothing.
void Recorder::Core::thin() {
  constexpr int kMany = 16;
  std::map<std::size_t, int> rows;
  for (const Entry& entry : queue) {
    if (!entry.source) ++rows[signature(entry.row)];
  }
  std::map<std::size_t, int> seen;
  const std::size_t before = values;
  std::erase_if(queue, [&](const Entry& entry) {
    if (entry.source) return false;
    const std::size_t kind = signature(entry.row);
    // Counted from the newest backwards, which stays.
    const bool out = rows[kind] >= kMany && (rows[kind] - ++seen[kind]) % 2 == 1;
    if (out) values -= entry.row.values.size();
    return out;
  });
  while (values > options.most_values && !queue.empty()) {
    const auto oldest =
        std::find_if(queue.begin(), queue.end(), [](const Entry& entry) { return !entry.source; });
    if (oldest == queue.end()) break;
    values -= oldest->row.values.size();
    queue.erase(oldest);
  }
  left_out += static_cast<std::int64_t>(before - values);
}

void Recorder::Core::deliver(const Action& action) {
  std::erase_if(sinks, [&](const std::unique_ptr<Sink>& sink) {
    try {
      action(*sink);
      return false;
    } catch (const std::exception& failure) {
      warn(fmt::format("{} is dropped, the run goes on: {}", sink->name(), failure.what()));
      return true;
    }
  });
}

void Recorder::Core::ask(const Source& source) {
  std::optional<Action> action;
  try {
    action = source();
  } catch (const std::exception& failure) {
    warn(fmt::format("not recorded: {}", failure.what()));
  }
  if (action) deliver(*action);
}

void Recorder::Core::ask_sources() {
  {
    const std::lock_guard lock(mutex);
    for (Source& source : new_sources) sources.push_back(std::move(source));
    new_sources.clear();
  }
  for (const Source& source : sources) ask(source);
}

/// Waits for something to do, at most until the next flush.
void Recorder::Core::take(std::deque<Entry>& entries, std::int64_t& count) {
  std::unique_lock lock(mutex);
  const auto due = [this] { return stop || flush_now || values > options.most_values / 2; };
  work.wait_for(lock, span(options.flush_seconds), due);
  entries.swap(queue);
  values = 0;
  count = queued;
  flush_now = false;
}

void Recorder::Core::run() {
  auto asked = Clock::now();
  bool last = false;
  while (!last) {
    std::deque<Entry> entries;
    std::int64_t count = 0;
    take(entries, count);
    for (const Entry& entry : entries) {
      if (entry.source) {
        ask(entry.source);
      } else {
        deliver([&entry](Sink& sink) { sink.log(entry.row); });
      }
    }
    {
      const std::lock_guard lock(mutex);
      last = stop && queue.empty();
    }
    if (last || Clock::now() - asked >= span(options.source_seconds)) {
      asked = Clock::now();
      ask_sources();
    }
    if (last) {
      deliver([this](Sink& sink) { sink.finish(state, error); });
    } else {
      deliver([](Sink& sink) { sink.flush(); });
    }
    const std::lock_guard lock(mutex);
    flushed = count;
    ended = last;
    done.notify_all();
  }
}

Recorder::Recorder(std::vector<std::unique_ptr<Sink>> sinks, RecorderOptions options)
    : core_(std::make_shared<Core>()) {
  core_->sinks = std::move(sinks);
  core_->options = std::move(options);
  const NoSignals masked;
  core_->thread = std::thread([core = core_] { core->run(); });
}

Recorder::~Recorder() { finish(State::kInterrupted, ""); }

void Recorder::log(Row row) { core_->push({std::move(row), nullptr}); }

void Recorder::post(Action action) {
  core_->push({{}, [action = std::move(action)] { return std::optional(action); }});
}

void Recorder::prepare(Source source) { core_->push({{}, std::move(source)}); }

void Recorder::add_source(Source source) {
  const std::lock_guard lock(core_->mutex);
  core_->new_sources.push_back(std::move(source));
}

bool Recorder::flush(double seconds) {
  std::unique_lock lock(core_->mutex);
  const std::int64_t wanted = core_->queued;
  core_->flush_now = true;
  core_->work.notify_one();
  return core_->done.wait_for(lock, span(seconds),
                              [&] { return core_->flushed >= wanted || core_->ended; });
}

bool Recorder::finish(State state, const std::string& error, double seconds) {
  if (!core_->thread.joinable()) return true;
  std::unique_lock lock(core_->mutex);
  core_->stop = true;
  core_->state = state;
  core_->error = error;
  core_->work.notify_one();
  const bool ended = core_->done.wait_for(lock, span(seconds), [this] { return core_->ended; });
  lock.unlock();
  if (ended) {
    core_->thread.join();
  } else {
    core_->thread.detach();
    core_->warn(
        fmt::format("the record's disk does not answer for {:.0f} s: the end of this run "
                    "is not recorded",
                    seconds));
  }
  if (core_->left_out > 0) {
    core_->warn(fmt::format("{} values were left out of the record: the disk was too slow",
                            core_->left_out.load()));
  }
  return ended;
}

std::int64_t Recorder::left_out() const { return core_->left_out; }

}  // namespace polyphony::record
