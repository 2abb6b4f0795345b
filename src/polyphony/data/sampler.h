#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace polyphony::data {

/// A process's part of a dataset.
struct Shard {
  std::int64_t rank = 0;
  std::int64_t world = 1;
};

/// The numbers 0 to n-1 in the order of Python's `torch.randperm(n, generator)`, the generator
/// seeded with `seed`.
std::vector<std::int64_t> torch_permutation(std::int64_t n, std::uint64_t seed);

/// The rows that a process trains on in an epoch, as torch.utils.data.DistributedSampler orders
/// them after `set_epoch(epoch)`: one permutation for all, dealt out in turn. Every process gets
/// the same number: the first rows serve twice where the processes do not divide the set. At one
/// process it is the permutation itself, so N processes with batch B see the rows of one process
/// with batch N*B.
std::vector<std::int64_t> training_rows(std::int64_t n, bool shuffle, std::uint64_t seed,
                                        std::int64_t epoch, Shard shard = {});

/// The same of all `world` processes, in the order in which they take them together.
std::vector<std::int64_t> training_order(std::int64_t n, bool shuffle, std::uint64_t seed,
                                         std::int64_t epoch, std::int64_t world);

/// Batches of rows of similar length.
struct BucketOptions {
  std::int64_t batch_size = 32;  ///< of one process
  std::int64_t batches = 50;     ///< that are sorted by length together
};

/// As training_rows with shuffling, but each batch holds rows of similar length: the permutation is
/// cut into pieces of `batches` batches (of all processes), each is sorted by length and cut into
/// batches, and the whole batches come in a random order. A function of its arguments alone; N
/// processes with batch B see the rows of one process with batch N*B.
/// @param lengths  of all rows
std::vector<std::int64_t> bucketed_rows(std::span<const std::int64_t> lengths,
                                        const BucketOptions& options, std::uint64_t seed,
                                        std::int64_t epoch, Shard shard = {});

/// The same of all `world` processes, in the order in which they take them together.
std::vector<std::int64_t> bucketed_order(std::span<const std::int64_t> lengths,
                                         const BucketOptions& options, std::uint64_t seed,
                                         std::int64_t epoch, std::int64_t world);

/// The rows that a process evaluates, dealt out in turn: each row is one process's, exactly once,
/// and some processes have one row less than others, or none.
std::vector<std::int64_t> evaluation_rows(std::int64_t n, Shard shard = {});

}  // namespace polyphony::data
