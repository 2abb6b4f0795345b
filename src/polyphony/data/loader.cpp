#include <polyphony/data/loader.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include <ATen/ops/empty.h>

#include <polyphony/base/error.h>

namespace polyphony::data {

/// Threads that fill a window of batches ahead of the consumer.
struct Loader::Prefetcher {
  struct Slot {
    std::optional<Batch> batch;
    std::exception_ptr error;
  };

  Prefetcher(const Loader& loader, std::int64_t first, std::int64_t end)
      : owner(loader), taken(first), consumed(first), last(end) {
    for (int i = 0; i < owner.options_.workers; ++i) threads.emplace_back([this] { work(); });
  }

  ~Prefetcher() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  void work() {
    std::unique_lock<std::mutex> lock(mutex);
    while (true) {
      changed.wait(lock,
                   [this] { return stopping || taken == last || taken < consumed + window(); });
      if (stopping || taken == last) return;
      const std::int64_t number = taken++;
      lock.unlock();
      Slot slot;
      try {
        slot.batch = owner.load(number);
      } catch (...) {
        slot.error = std::current_exception();
      }
      lock.lock();
      ready.emplace(number, std::move(slot));
      changed.notify_all();
    }
  }

  Batch take(std::int64_t number) {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return ready.contains(number); });
    Slot slot = std::move(ready.extract(number).mapped());
    consumed = number + 1;
    changed.notify_all();
    if (slot.error) std::rethrow_exception(slot.error);
    return std::move(*slot.batch);
  }

  std::int64_t window() const { return std::max(owner.options_.prefetch, owner.options_.workers); }

  const Loader& owner;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::int64_t, Slot> ready;
  std::int64_t taken;
  std::int64_t consumed;
  std::int64_t last;
  bool stopping = false;
  std::vector<std::thread> threads;
};

Loader::Loader(const Dataset& dataset, LoaderOptions options)
    : dataset_(dataset), options_(options) {}

Loader::~Loader() = default;

std::int64_t Loader::batches() const {
  const std::int64_t rows = (dataset_.size() + options_.shard.world - 1) / options_.shard.world;
  return batches_of(rows);
}

std::int64_t Loader::batches_of(std::int64_t rows) const {
  return (rows + options_.batch_size - 1) / options_.batch_size;
}

std::vector<std::int64_t> Loader::rows_of_epoch(std::int64_t epoch) {
  const std::int64_t rows = dataset_.size();
  if (options_.shuffle && options_.length_buckets > 0) {
    if (lengths_.empty()) lengths_ = dataset_.lengths();
    if (std::ssize(lengths_) != rows) {
      throw ConfigError("loading.length_buckets: this dataset does not know how long its rows are",
                        "write loading.length_buckets=0");
    }
    return bucketed_rows(lengths_, {options_.batch_size, options_.length_buckets}, options_.seed,
                         epoch, options_.shard);
  }
  return options_.even_shards || options_.shuffle
             ? training_rows(rows, options_.shuffle, options_.seed, epoch, options_.shard)
             : evaluation_rows(rows, options_.shard);
}

void Loader::start(std::int64_t epoch, std::int64_t first_batch) {
  prefetcher_.reset();
  order_ = rows_of_epoch(epoch);
  next_ = first_batch;
  if (options_.workers > 0)
    prefetcher_ =
        std::make_unique<Prefetcher>(*this, next_, std::max(next_, batches_of(std::ssize(order_))));
}

std::optional<Batch> Loader::next() {
  if (next_ >= batches_of(std::ssize(order_))) {
    prefetcher_.reset();
    return std::nullopt;
  }
  const std::int64_t number = next_++;
  return prefetcher_ ? prefetcher_->take(number) : load(number);
}

Batch Loader::load(std::int64_t batch) const {
  const std::int64_t begin = batch * options_.batch_size;
  const std::int64_t end = std::min(begin + options_.batch_size, std::ssize(order_));
  std::vector<Item> items;
  at::Tensor index = at::empty({end - begin}, at::kLong);
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t row = order_[static_cast<std::size_t>(i)];
    index.data_ptr<std::int64_t>()[i - begin] = row;
    items.push_back(dataset_.get(row));
  }
  Batch joined = dataset_.collate(items);
  joined.set("index", index);
  return joined;
}

}  // namespace polyphony::data
