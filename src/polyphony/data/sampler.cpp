#include <polyphony/data/sampler.h>

#include <algorithm>
#include <numeric>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randperm.h>

namespace polyphony::data {
namespace {

std::vector<std::int64_t> in_order(std::int64_t n) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  return rows;
}

/// Every world-th of `rows`, from the rank's own place.
std::vector<std::int64_t> dealt(const std::vector<std::int64_t>& rows, Shard shard) {
  std::vector<std::int64_t> mine;
  for (std::int64_t i = shard.rank; i < std::ssize(rows); i += shard.world) {
    mine.push_back(rows[static_cast<std::size_t>(i)]);
  }
  return mine;
}

/// Those of all processes, as many for each.
std::vector<std::int64_t> all_training_rows(std::int64_t n, bool shuffle, std::uint64_t epoch_seed,
                                            std::int64_t world) {
  std::vector<std::int64_t> rows = shuffle ? torch_permutation(n, epoch_seed) : in_order(n);
  const std::int64_t even = (n + world - 1) / world * world;
  for (std::int64_t i = 0; n > 0 && std::ssize(rows) < even; ++i) {
    rows.push_back(rows[static_cast<std::size_t>(i)]);
  }
  return rows;
}

}  // namespace

std::vector<std::int64_t> torch_permutation(std::int64_t n, std::uint64_t seed) {
  const at::Tensor order = at::randperm(n, at::detail::createCPUGenerator(seed), at::kLong);
  return {order.data_ptr<std::int64_t>(), order.data_ptr<std::int64_t>() + n};
}

std::vector<std::int64_t> training_order(std::int64_t n, bool shuffle, std::uint64_t seed,
                                         std::int64_t epoch, std::int64_t world) {
  return all_training_rows(n, shuffle, seed + static_cast<std::uint64_t>(epoch), world);
}

std::vector<std::int64_t> training_rows(std::int64_t n, bool shuffle, std::uint64_t seed,
                                        std::int64_t epoch, Shard shard) {
  return dealt(training_order(n, shuffle, seed, epoch, shard.world), shard);
}

std::vector<std::int64_t> bucketed_order(std::span<const std::int64_t> lengths,
                                         const BucketOptions& options, std::uint64_t seed,
                                         std::int64_t epoch, std::int64_t world) {
  const std::uint64_t epoch_seed = seed + static_cast<std::uint64_t>(epoch);
  std::vector<std::int64_t> rows = all_training_rows(std::ssize(lengths), true, epoch_seed, world);
  const auto batch = static_cast<std::size_t>(options.batch_size * world);
  const std::size_t bucket = batch * static_cast<std::size_t>(options.batches);
  for (std::size_t begin = 0; begin < rows.size(); begin += bucket) {
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last =
        rows.begin() + static_cast<std::ptrdiff_t>(std::min(begin + bucket, rows.size()));
    std::stable_sort(first, last, [&](std::int64_t a, std::int64_t b) {
      return lengths[static_cast<std::size_t>(a)] < lengths[static_cast<std::size_t>(b)];
    });
  }
  // Only whole batches change places, so that the last one stays the smaller one.
  const std::size_t whole = rows.size() / batch;
  std::vector<std::int64_t> mixed;
  mixed.reserve(rows.size());
  for (const std::int64_t number :
       torch_permutation(static_cast<std::int64_t>(whole), epoch_seed)) {
    const auto first = rows.begin() + number * static_cast<std::ptrdiff_t>(batch);
    mixed.insert(mixed.end(), first, first + static_cast<std::ptrdiff_t>(batch));
  }
  mixed.insert(mixed.end(), rows.begin() + static_cast<std::ptrdiff_t>(whole * batch), rows.end());
  return mixed;
}

std::vector<std::int64_t> bucketed_rows(std::span<const std::int64_t> lengths,
                                        const BucketOptions& options, std::uint64_t seed,
                                        std::int64_t epoch, Shard shard) {
  return dealt(bucketed_order(lengths, options, seed, epoch, shard.world), shard);
}

std::vector<std::int64_t> evaluation_rows(std::int64_t n, Shard shard) {
  return dealt(in_order(n), shard);
}

}  // namespace polyphony::data
