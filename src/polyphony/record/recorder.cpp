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

#include <polyphony/base/notice.h>

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

/// Entries that wait, of bounded size.
struct Queue {
  std::deque<Entry> entries;
  std::size_t values = 0;  ///< in rows

  /// @return values left out to stay within the bound
  std::size_t push(Entry entry, std::size_t most_values) {
    values += entry.row.values.size();
    entries.push_back(std::move(entry));
    return values > most_values ? thin(most_values) : 0;
  }
  void pop() {
    values -= entries.front().row.values.size();
    entries.pop_front();
  }

 private:
  std::size_t thin(std::size_t most_values);
};

/// Leaves out every second row of each kind of which many wait; the oldest where that frees
/// nothing.
std::size_t Queue::thin(std::size_t most_values) {
  constexpr int kMany = 16;
  std::map<std::size_t, int> rows;
  for (const Entry& entry : entries) {
    if (!entry.source) ++rows[signature(entry.row)];
  }
  std::map<std::size_t, int> seen;
  const std::size_t before = values;
  std::erase_if(entries, [&](const Entry& entry) {
    if (entry.source) return false;
    const std::size_t kind = signature(entry.row);
    // Counted from the newest backwards, which stays.
    const bool out = rows[kind] >= kMany && (rows[kind] - ++seen[kind]) % 2 == 1;
    if (out) values -= entry.row.values.size();
    return out;
  });
  while (values > most_values && !entries.empty()) {
    const auto oldest = std::find_if(entries.begin(), entries.end(),
                                     [](const Entry& entry) { return !entry.source; });
    if (oldest == entries.end()) break;
    values -= oldest->row.values.size();
    entries.erase(oldest);
  }
  return before - values;
}

constexpr double kLongestRetry = 30;  // seconds

/// A sink, and what waits for it while it cannot be written.
struct Output {
  std::unique_ptr<Sink> sink;
  Queue waiting;
  std::string failure;  ///< "" where it can be written
  double retry = 0;     ///< seconds
  Clock::time_point next_try;
  std::int64_t left_out = 0;  ///< values of rows that waited for too long

  bool fails() const { return !failure.empty(); }
};

/// Does one thing to a sink. A source is one that only hands on an action.
void apply(Sink& sink, const Entry& entry) {
  if (!entry.source) {
    sink.log(entry.row);
  } else if (const auto action = entry.source()) {
    (*action)(sink);
  }
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
  std::vector<Output> outputs;
  RecorderOptions options;
  std::vector<Source> sources;

  std::mutex mutex;
  std::condition_variable work;  ///< for the thread
  std::condition_variable done;  ///< for those that wait
  Queue queue;
  std::vector<Source> new_sources;
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
  void run();
  void take(std::deque<Entry>& entries, std::int64_t& count);
  void deliver(const Entry& entry);
  void ask(const Source& source);
  void ask_sources();
  void fail(Output& output, const std::string& what) const;
  void retry(Output& output) const;
  void flush_outputs();
  void finish_outputs();
};

void Recorder::Core::push(Entry entry) {
  const std::lock_guard lock(mutex);
  ++queued;
  left_out += static_cast<std::int64_t>(queue.push(std::move(entry), options.most_values));
  if (queue.values > options.most_values / 2) work.notify_one();
}

void Recorder::Core::fail(Output& output, const std::string& what) const {
  if (!output.fails()) {
    output.retry = options.retry_seconds;
    warn("{} cannot be written; the run goes on, and it is tried again: {}", output.sink->name(),
         what);
  } else {
    output.retry = std::min(2 * output.retry, kLongestRetry);
  }
  output.failure = what.empty() ? "it does not say why" : what;
  output.next_try = Clock::now() + span(output.retry);
}

/// To every sink; it waits for those that cannot be written.
void Recorder::Core::deliver(const Entry& entry) {
  for (Output& output : outputs) {
    if (!output.fails()) {
      try {
        apply(*output.sink, entry);
        continue;
      } catch (const std::exception& failure) {
        fail(output, failure.what());
      }
    }
    output.left_out += static_cast<std::int64_t>(output.waiting.push(entry, options.most_values));
  }
}

/// What waits for a sink, in its order, as far as it goes.
void Recorder::Core::retry(Output& output) const {
  try {
    output.sink->flush();
    while (!output.waiting.entries.empty()) {
      apply(*output.sink, output.waiting.entries.front());
      output.waiting.pop();
    }
    output.sink->flush();
    output.failure.clear();
    warn("{} is written again", output.sink->name());
  } catch (const std::exception& failure) {
    fail(output, failure.what());
  }
}

void Recorder::Core::flush_outputs() {
  for (Output& output : outputs) {
    if (output.fails()) {
      if (Clock::now() >= output.next_try) retry(output);
      continue;
    }
    try {
      output.sink->flush();
    } catch (const std::exception& failure) {
      fail(output, failure.what());
    }
  }
}

void Recorder::Core::finish_outputs() {
  for (Output& output : outputs) {
    std::string failure;
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (output.fails()) retry(output);
      try {
        output.sink->finish(state, error);
        failure.clear();
        break;
      } catch (const std::exception& thrown) {
        failure = thrown.what();
      }
    }
    if (failure.empty()) failure = output.failure;
    if (!failure.empty()) {
      warn("{} lacks the end of this run, {} values and more: {}", output.sink->name(),
           output.waiting.values, failure);
    }
    if (output.left_out > 0) {
      warn("{} values were left out of {}: it could not be written for too long", output.left_out,
           output.sink->name());
    }
  }
}

void Recorder::Core::ask(const Source& source) {
  std::optional<Action> action;
  try {
    action = source();
  } catch (const std::exception& failure) {
    warn("not recorded: {}", failure.what());
  }
  if (action) deliver({{}, [action = *std::move(action)] { return std::optional(action); }});
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
  const auto due = [this] { return stop || flush_now || queue.values > options.most_values / 2; };
  work.wait_for(lock, span(options.flush_seconds), due);
  entries.swap(queue.entries);
  queue.values = 0;
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
        deliver(entry);
      }
    }
    {
      const std::lock_guard lock(mutex);
      last = stop && queue.entries.empty();
    }
    if (last || Clock::now() - asked >= span(options.source_seconds)) {
      asked = Clock::now();
      ask_sources();
    }
    if (last) {
      finish_outputs();
    } else {
      flush_outputs();
    }
    const std::lock_guard lock(mutex);
    flushed = count;
    ended = last;
    done.notify_all();
  }
}

Recorder::Recorder(std::vector<std::unique_ptr<Sink>> sinks, RecorderOptions options)
    : core_(std::make_shared<Core>()) {
  for (auto& sink : sinks) {
    core_->outputs.emplace_back();
    core_->outputs.back().sink = std::move(sink);
  }
  core_->options = options;
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
    warn(
        "the record's disk does not answer for {:.0f} s: the end of this run "
        "is not recorded",
        seconds);
  }
  if (core_->left_out > 0) {
    warn("{} values were left out of the record: the disk was too slow", core_->left_out.load());
  }
  return ended;
}

std::int64_t Recorder::left_out() const { return core_->left_out; }

}  // namespace polyphony::record
