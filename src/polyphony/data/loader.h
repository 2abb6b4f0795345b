#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <polyphony/data/dataset.h>
#include <polyphony/data/epoch_rest.h>
#include <polyphony/data/sampler.h>

namespace polyphony::data {

struct LoaderOptions {
  int batch_size = 32;
  bool shuffle = false;
  int workers = 1;   ///< loading threads; 0: the calling thread
  int prefetch = 4;  ///< batches prepared ahead
  std::uint64_t seed = 0;
  Shard shard;  ///< the part of the rows that is this process's
  /// Every process gets as many rows as any other, some rows twice, as training in step needs (and
  /// `shuffle` implies); otherwise each row is one process's, once.
  bool even_shards = false;
  /// Shuffled batches are of rows of similar length, sorted within this many batches; 0: they are
  /// not (see bucketed_rows). @throws ConfigError (start) where the dataset knows no lengths
  int length_buckets = 0;
};

/// Batches of a dataset, prepared ahead by several threads in an order that does not depend on
/// them: the order of an epoch is a function of the seed and the epoch's number, that of PyTorch's
/// DistributedSampler at any number of processes. A batch also has
/// "index": int64 [batch], the dataset's row of each item.
class Loader {
 public:
  /// @param dataset  outlives the loader
  Loader(const Dataset& dataset, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Batches of an epoch, the same number in every process: those of the largest shard. The last
  /// one may be smaller, or absent where this process's shard is smaller.
  std::int64_t batches() const;
  /// Begins an epoch at one of its batches, leaving any other epoch. The epoch of `resume` goes on
  /// in the order of those that began it.
  void start(std::int64_t epoch, std::int64_t first_batch = 0);
  /// The next batch; nullopt at the end of the epoch. Rethrows what a worker threw, in batch order.
  /// In the rest of an epoch that others began a process may have no row in a batch of fewer rows
  /// than processes: it gets a row of another one then, to keep step, with an empty "index" and
  /// weight() 0.
  std::optional<Batch> next();
  /// What the mean over the rows of the batch that next() gave is multiplied by, so that the mean
  /// over all processes is that over all rows; 1 where all have as many.
  double weight() const;

  /// The order of whole epochs.
  EpochOrder order() const;
  /// Where an epoch stands after `done` of its `batches`.
  EpochPlace place(std::int64_t done, std::int64_t batches) const;
  /// Takes up an epoch that other processes began, or these with other options: what is left of it
  /// is dealt out anew, each row once, and `start` goes on there.
  /// @param done  batches that the epoch has had  @return batches that are left
  std::int64_t resume(std::int64_t epoch, std::int64_t done, const EpochPlace& place);
  /// Rows of the epoch's order that are done after `done` batches, the last one counted whole, in
  /// an epoch that was taken up by `resume`; nullopt in another.
  std::optional<std::int64_t> rows_done(std::int64_t done) const;
  /// How the epoch that was taken up by `resume` was ordered; nullopt in another.
  std::optional<EpochPlace> resumed_place() const;

 private:
  struct Prefetcher;

  Batch load(std::int64_t batch) const;
  Batch join(std::span<const std::int64_t> rows) const;
  Batch load_rest(const EpochRest::Batch& batch) const;
  std::vector<std::int64_t> rows_of_epoch(std::int64_t epoch);
  std::vector<std::int64_t> order_of(std::int64_t epoch, const EpochOrder& order);
  const std::vector<std::int64_t>& lengths();
  std::int64_t batches_of(std::int64_t rows) const;
  std::int64_t end() const;

  const Dataset& dataset_;
  LoaderOptions options_;
  std::vector<std::int64_t> lengths_;  ///< of the rows; empty until they are asked for
  std::vector<std::int64_t> order_;    ///< this process's rows of the epoch
  std::optional<EpochRest> rest_;      ///< of an epoch that others began
  std::int64_t next_ = 0;
  std::unique_ptr<Prefetcher> prefetcher_;
};

}  // namespace polyphony::data
