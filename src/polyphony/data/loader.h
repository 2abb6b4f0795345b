#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <polyphony/data/dataset.h>
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
  /// Begins an epoch at one of its batches, leaving any other epoch.
  void start(std::int64_t epoch, std::int64_t first_batch = 0);
  /// The next batch; nullopt at the end of the epoch. Rethrows what a worker threw, in batch order.
  std::optional<Batch> next();

 private:
  struct Prefetcher;

  Batch load(std::int64_t batch) const;
  std::vector<std::int64_t> rows_of_epoch(std::int64_t epoch);
  std::int64_t batches_of(std::int64_t rows) const;

  const Dataset& dataset_;
  LoaderOptions options_;
  std::vector<std::int64_t> lengths_;  ///< of the rows; empty until they are asked for
  std::vector<std::int64_t> order_;    ///< this process's rows of the epoch
  std::int64_t next_ = 0;
  std::unique_ptr<Prefetcher> prefetcher_;
};

}  // namespace polyphony::data
