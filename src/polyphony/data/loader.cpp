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

const std::vector<std::int64_t>& Loader::lengths() {
  if (lengths_.empty()) lengths_ = dataset_.lengths();
  if (std::ssize(lengths_) == dataset_.size()) return lengths_;
  throw ConfigError("loading.length_buckets: this dataset does not know how long its rows are",
                    "write loading.length_buckets=0");
}

std::vector<std::int64_t> Loader::rows_of_epoch(std::int64_t epoch) {
  if (options_.shuffle && options_.length_buckets > 0) {
    return bucketed_rows(lengths(), {options_.batch_size, options_.length_buckets}, options_.seed,
                         epoch, options_.shard);
  }
  return options_.even_shards || options_.shuffle
             ? training_rows(dataset_.size(), options_.shuffle, options_.seed, epoch,
                             options_.shard)
             : evaluation_rows(dataset_.size(), options_.shard);
}

std::vector<std::int64_t> Loader::order_of(std::int64_t epoch, const EpochOrder& order) {
  if (order.shuffle && order.length_buckets > 0) {
    return bucketed_order(lengths(), {order.batch_size, order.length_buckets}, order.seed, epoch,
                          order.world);
  }
  return training_order(dataset_.size(), order.shuffle, order.seed, epoch, order.world);
}

EpochOrder Loader::order() const {
  return {options_.seed, options_.shuffle, options_.batch_size,
          options_.shuffle ? options_.length_buckets : 0, options_.shard.world};
}

EpochPlace Loader::place(std::int64_t done, std::int64_t batches) const {
  if (rest_) {
    EpochPlace place = rest_->place;
    place.dealt = rest_->dealt_after(done);
    return place;
  }
  EpochPlace place;
  place.order = order();
  place.rows = dataset_.size();
  const std::int64_t world = place.order.world;
  const std::int64_t all = (place.rows + world - 1) / world * world;
  place.end = std::min(all, batches * place.order.step());
  place.taken = std::min(place.end, done * place.order.step());
  return place;
}

std::int64_t Loader::resume(std::int64_t epoch, std::int64_t done, const EpochPlace& place) {
  prefetcher_.reset();
  EpochRest rest;
  rest.place = place;
  if (place.rows != dataset_.size()) {  // other rows than before: as many of them as there are
    const bool whole = place.end >= place.rows;
    rest.place.rows = dataset_.size();
    if (whole) rest.place.end = dataset_.size();
  }
  rest.epoch = epoch;
  rest.first = done;
  deal_rest(rows_left(order_of(epoch, place.order), rest.place), options_.batch_size,
            options_.shard, rest);
  rest_ = std::move(rest);
  return std::ssize(rest_->batches);
}

std::optional<std::int64_t> Loader::rows_done(std::int64_t done) const {
  if (!rest_) return std::nullopt;
  const EpochPlace& place = rest_->place;
  const std::int64_t step = place.order.step();
  if (done >= rest_->first + std::ssize(rest_->batches))
    return (place.end + step - 1) / step * step;
  return place.taken + rest_->dealt_after(done);
}

std::optional<EpochPlace> Loader::resumed_place() const {
  return rest_ ? std::optional(rest_->place) : std::nullopt;
}

void Loader::start(std::int64_t epoch, std::int64_t first_batch) {
  prefetcher_.reset();
  if (rest_ && (rest_->epoch != epoch || first_batch < rest_->first)) rest_.reset();
  if (!rest_) order_ = rows_of_epoch(epoch);
  next_ = first_batch;
  if (options_.workers > 0)
    prefetcher_ = std::make_unique<Prefetcher>(*this, next_, std::max(next_, end()));
}

std::int64_t Loader::end() const {
  return rest_ ? rest_->first + std::ssize(rest_->batches) : batches_of(std::ssize(order_));
}

std::optional<Batch> Loader::next() {
  if (next_ >= end()) {
    prefetcher_.reset();
    return std::nullopt;
  }
  const std::int64_t number = next_++;
  return prefetcher_ ? prefetcher_->take(number) : load(number);
}

double Loader::weight() const {
  if (!rest_) return 1;
  const EpochRest::Batch& batch =
      rest_->batches.at(static_cast<std::size_t>(next_ - 1 - rest_->first));
  return static_cast<double>((batch.end - batch.begin) * options_.shard.world) /
         static_cast<double>(batch.all);
}

Batch Loader::load(std::int64_t batch) const {
  if (rest_) return load_rest(rest_->batches[static_cast<std::size_t>(batch - rest_->first)]);
  const std::int64_t begin = batch * options_.batch_size;
  const std::int64_t end = std::min(begin + options_.batch_size, std::ssize(order_));
  return join(std::span(order_).subspan(static_cast<std::size_t>(begin),
                                        static_cast<std::size_t>(end - begin)));
}

Batch Loader::load_rest(const EpochRest::Batch& batch) const {
  if (batch.begin == batch.end) {
    Batch joined = join({&batch.stand_in, 1});
    joined.set("index", at::empty({0}, at::kLong));
    return joined;
  }
  return join(std::span(rest_->mine)
                  .subspan(static_cast<std::size_t>(batch.begin),
                           static_cast<std::size_t>(batch.end - batch.begin)));
}

Batch Loader::join(std::span<const std::int64_t> rows) const {
  std::vector<Item> items;
  at::Tensor index = at::empty({std::ssize(rows)}, at::kLong);
  std::copy(rows.begin(), rows.end(), index.data_ptr<std::int64_t>());
  for (const std::int64_t row : rows) items.push_back(dataset_.get(row));
  Batch joined = dataset_.collate(items);
  joined.set("index", index);
  return joined;
}

}  // namespace polyphony::data
