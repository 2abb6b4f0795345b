#pragma once

#include <cstdint>
#include <vector>

#include <polyphony/data/sampler.h>

namespace polyphony::data {

/// What the order of an epoch's rows is a function of, beside the rows and the epoch's number.
struct EpochOrder {
  std::uint64_t seed = 0;
  bool shuffle = false;
  std::int64_t batch_size = 1;      ///< of one process
  std::int64_t length_buckets = 0;  ///< 0: rows of any length
  std::int64_t world = 1;

  /// Rows of a batch of all processes.
  std::int64_t step() const { return batch_size * world; }
  bool operator==(const EpochOrder&) const = default;
};

/// How far an epoch has come, so that any number of processes can go on with it in its order.
struct EpochPlace {
  EpochOrder order;        ///< of the processes that began the epoch
  std::int64_t rows = 0;   ///< of the dataset
  std::int64_t end = 0;    ///< rows of the order that the epoch comes to
  std::int64_t taken = 0;  ///< of these, by the processes that began it
  std::int64_t dealt = 0;  ///< of the rows that were left then, by other processes since
};

/// One process's part of the rest of an epoch that other processes began.
struct EpochRest {
  struct Batch {
    std::int64_t begin;  ///< in `mine`
    std::int64_t end;
    std::int64_t all;       ///< rows of all processes in this batch
    std::int64_t stand_in;  ///< a row of the batch, for a process that has none of its own
  };
  EpochPlace place;
  std::int64_t epoch = 0;
  std::int64_t first = 0;  ///< batches of the epoch before the rest
  std::vector<std::int64_t> mine;
  std::vector<Batch> batches;

  /// Rows of the rest that all processes have taken after so many batches of the epoch.
  std::int64_t dealt_after(std::int64_t done) const;
};

/// The rows that are left at a place, each once, in its order: those that were repeated to give all
/// processes as many are dropped. @param order  of all rows of the epoch, by `place.order`
std::vector<std::int64_t> rows_left(const std::vector<std::int64_t>& order,
                                    const EpochPlace& place);

/// Deals rows out in batches of `batch_size` a process. Rows that make no whole batch, and are too
/// few to give each process one, share the last two batches with the rows before them; so a process
/// is without a row only where all that are left are fewer than the processes (or batches are of
/// one row). Where a rest is dealt to as many processes again, its batches are the same.
void deal_rest(const std::vector<std::int64_t>& left, std::int64_t batch_size, Shard shard,
               EpochRest& rest);

}  // namespace polyphony::data
