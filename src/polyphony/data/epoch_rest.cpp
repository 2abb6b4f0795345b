#include <polyphony/data/epoch_rest.h>

#include <algorithm>

namespace polyphony::data {
namespace {

/// Rows of the next batch of all processes. A function of what is left, not of what came before.
std::int64_t next_batch(std::int64_t left, std::int64_t step, std::int64_t world) {
  if (left <= step) return left;
  const bool too_few_behind = left - step < world;
  return too_few_behind && left >= 2 * world ? (left + 1) / 2 : step;
}

}  // namespace

std::int64_t EpochRest::dealt_after(std::int64_t done) const {
  std::int64_t rows = place.dealt;
  const std::int64_t count = std::clamp<std::int64_t>(done - first, 0, std::ssize(batches));
  for (std::int64_t i = 0; i < count; ++i) rows += batches[static_cast<std::size_t>(i)].all;
  return rows;
}

std::vector<std::int64_t> rows_left(const std::vector<std::int64_t>& order,
                                    const EpochPlace& place) {
  const std::int64_t end = std::min(place.end, std::ssize(order));
  const std::int64_t most = order.empty() ? 0 : *std::max_element(order.begin(), order.end()) + 1;
  std::vector<char> seen(static_cast<std::size_t>(most), 0);
  std::vector<std::int64_t> left;
  for (std::int64_t i = 0; i < end; ++i) {
    const std::int64_t row = order[static_cast<std::size_t>(i)];
    char& before = seen[static_cast<std::size_t>(row)];
    if (before == 0 && i >= place.taken) left.push_back(row);
    before = 1;
  }
  left.erase(left.begin(), left.begin() + std::min(place.dealt, std::ssize(left)));
  return left;
}

void deal_rest(const std::vector<std::int64_t>& left, std::int64_t batch_size, Shard shard,
               EpochRest& rest) {
  const std::int64_t all = std::ssize(left);
  for (std::int64_t at = 0; at < all;) {
    EpochRest::Batch batch{};
    batch.all = next_batch(all - at, batch_size * shard.world, shard.world);
    batch.stand_in = left[static_cast<std::size_t>(at)];
    batch.begin = std::ssize(rest.mine);
    for (std::int64_t i = shard.rank; i < batch.all; i += shard.world) {
      rest.mine.push_back(left[static_cast<std::size_t>(at + i)]);
    }
    batch.end = std::ssize(rest.mine);
    rest.batches.push_back(batch);
    at += batch.all;
  }
}

}  // namespace polyphony::data
