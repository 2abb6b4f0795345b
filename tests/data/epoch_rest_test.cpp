#include <polyphony/data/epoch_rest.h>

#include <map>
#include <numeric>
#include <set>

#include <gmock/gmock.h>

#include <polyphony/data/loader.h>

namespace polyphony::data {
namespace {

using ::testing::ElementsAre;

std::vector<std::int64_t> count_to(std::int64_t n) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  return rows;
}

// Rows that were repeated to make even shards come once, wherever their first place is.
TEST(EpochRest, RowsLeftAreThoseNotTakenEachOnce) {
  EpochPlace place;
  place.rows = 5;
  place.end = 6;
  place.taken = 2;
  EXPECT_THAT(rows_left({3, 1, 4, 0, 2, 3}, place), ElementsAre(4, 0, 2));
  place.dealt = 2;
  EXPECT_THAT(rows_left({3, 1, 4, 0, 2, 3}, place), ElementsAre(2));
  place = {{}, 5, 4, 0, 0};  // an epoch that trainer.limit_train_batches ends early
  EXPECT_THAT(rows_left({3, 1, 4, 0, 2, 3}, place), ElementsAre(3, 1, 4, 0));
}

// Each row is one process's, no batch is larger than it may be, all have as many batches, and the
// rest of a rest is dealt alike.
TEST(EpochRest, DealsEveryRowOnceToAnyNumberOfProcesses) {
  for (std::int64_t rows = 0; rows < 40; ++rows) {
    for (const std::int64_t batch_size : {1, 2, 3, 8}) {
      for (const std::int64_t world : {1, 2, 3, 5}) {
        std::map<std::int64_t, int> seen;
        std::set<std::size_t> batches;
        EpochRest first;
        for (std::int64_t rank = 0; rank < world; ++rank) {
          EpochRest rest;
          deal_rest(count_to(rows), batch_size, {rank, world}, rest);
          for (const std::int64_t row : rest.mine) ++seen[row];
          batches.insert(rest.batches.size());
          for (const EpochRest::Batch& batch : rest.batches) {
            EXPECT_LE(batch.end - batch.begin, batch_size);
            const bool few = batch_size == 1 || rows < 2 * world;
            EXPECT_TRUE(batch.begin < batch.end || few)
                << rows << ' ' << batch_size << ' ' << world;
          }
          if (rank == 0) first = rest;
        }
        EXPECT_EQ(std::ssize(seen), rows);
        for (const auto& [row, count] : seen) EXPECT_EQ(count, 1);
        EXPECT_EQ(batches.size(), 1U);
        if (first.batches.size() < 2) continue;
        const std::int64_t done = first.batches[0].all;
        std::vector<std::int64_t> left = count_to(rows);
        left.erase(left.begin(), left.begin() + done);
        EpochRest again;
        deal_rest(left, batch_size, {0, world}, again);
        ASSERT_EQ(again.batches.size() + 1, first.batches.size());
        for (std::size_t i = 0; i < again.batches.size(); ++i) {
          EXPECT_EQ(again.batches[i].all, first.batches[i + 1].all);
        }
      }
    }
  }
}

}  // namespace
}  // namespace polyphony::data
