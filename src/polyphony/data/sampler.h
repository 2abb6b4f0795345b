#pragma once

#include <cstdint>
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

/// The rows that a process evaluates, dealt out in turn: each row is one process's, exactly once,
/// and some processes have one row less than others, or none.
std::vector<std::int64_t> evaluation_rows(std::int64_t n, Shard shard = {});

}  // namespace polyphony::data
