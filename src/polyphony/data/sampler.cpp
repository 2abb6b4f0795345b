#include <polyphony/data/sampler.h>

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

}  // namespace

std::vector<std::int64_t> torch_permutation(std::int64_t n, std::uint64_t seed) {
  const at::Tensor order = at::randperm(n, at::detail::createCPUGenerator(seed), at::kLong);
  return {order.data_ptr<std::int64_t>(), order.data_ptr<std::int64_t>() + n};
}

std::vector<std::int64_t> training_rows(std::int64_t n, bool shuffle, std::uint64_t seed,
                                        std::int64_t epoch, Shard shard) {
  std::vector<std::int64_t> rows =
      shuffle ? torch_permutation(n, seed + static_cast<std::uint64_t>(epoch)) : in_order(n);
  const std::int64_t even = (n + shard.world - 1) / shard.world * shard.world;
  for (std::int64_t i = 0; n > 0 && std::ssize(rows) < even; ++i) {
    rows.push_back(rows[static_cast<std::size_t>(i)]);
  }
  return dealt(rows, shard);
}

std::vector<std::int64_t> evaluation_rows(std::int64_t n, Shard shard) {
  return dealt(in_order(n), shard);
}

}  // namespace polyphony::data
