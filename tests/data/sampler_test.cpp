#include <polyphony/data/sampler.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <numeric>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/error.h>
#include <polyphony/data/loader.h>

namespace polyphony::data {
namespace {

using Rows = std::vector<std::int64_t>;

/// What the original stack answered (tests/golden/README.md).
const nlohmann::json& golden() {
  static const nlohmann::json cases = [] {
    const char* folder = std::getenv("POLYPHONY_GOLDEN_DIR");
    const std::string path =
        std::string(folder != nullptr ? folder : POLYPHONY_TEST_DIR "/golden") + "/misc/misc.json";
    std::ifstream file(path);
    if (!file) throw std::runtime_error(path + " cannot be read");
    return nlohmann::json::parse(file);
  }();
  return cases;
}

Rows first(Rows rows, std::size_t n) {
  rows.resize(std::min(n, rows.size()));
  return rows;
}

/// What Python draws: torch.empty((), dtype=torch.int64).random_().item()
std::uint64_t draw_seed() {
  return static_cast<std::uint64_t>(at::empty({}, at::kLong).random_().item<std::int64_t>());
}

TEST(Sampler, PermutesAsTorchRandpermDoes) {
  int cases = 0;
  for (const auto& [name, expected] : golden().items()) {
    int seed = 0, n = 0;
    if (std::sscanf(name.c_str(), "randperm_seed%d_n%d", &seed, &n) != 2) continue;
    const auto rows = expected.get<Rows>();
    EXPECT_EQ(first(torch_permutation(n, static_cast<std::uint64_t>(seed)), rows.size()), rows)
        << name;
    ++cases;
  }
  fmt::print("randperm: {} cases\n", cases);
  EXPECT_GT(cases, 0);
}

TEST(Sampler, DealsOutTrainingRowsAsDistributedSamplerDoes) {
  int cases = 0;
  for (const auto& one : golden().at("DistributedSampler")) {
    const Shard shard{one.at("rank"), one.at("world")};
    EXPECT_EQ(training_rows(one.at("n"), one.at("shuffle"), one.at("seed"), one.at("epoch"), shard),
              one.at("idx").get<Rows>())
        << one.dump();
    ++cases;
  }
  fmt::print("DistributedSampler: {} cases\n", cases);
  EXPECT_GT(cases, 0);
}

TEST(Sampler, OrdersOfRandomSamplerFollowFromTheSeedsThatItDraws) {
  int cases = 0;
  for (const auto& [name, epochs] : golden().items()) {
    int seed = 0, n = 0;
    if (std::sscanf(name.c_str(), "RandomSampler_seed%d_n%d_epochs", &seed, &n) != 2) continue;
    at::manual_seed(static_cast<std::uint64_t>(seed));
    for (const auto& rows : epochs) {
      EXPECT_EQ(torch_permutation(n, draw_seed()), rows.get<Rows>()) << name;
      ++cases;
    }
  }
  fmt::print("RandomSampler: {} cases\n", cases);
  EXPECT_GT(cases, 0);
}

TEST(Sampler, TrainingRowsOfAllProcessesAreThoseOfOneInTurn) {
  for (const std::int64_t n : {1, 5, 21, 64}) {
    const Rows whole = training_rows(n, true, 3, 2);
    for (const std::int64_t world : {2, 3, 4, 9}) {
      const std::int64_t each = (n + world - 1) / world;
      for (std::int64_t rank = 0; rank < world; ++rank) {
        const Rows mine = training_rows(n, true, 3, 2, {rank, world});
        ASSERT_EQ(std::ssize(mine), each);
        for (std::int64_t i = 0; i < each; ++i) {
          EXPECT_EQ(mine[static_cast<std::size_t>(i)],
                    whole[static_cast<std::size_t>((i * world + rank) % n)]);
        }
      }
    }
  }
}

TEST(Sampler, EachRowIsEvaluatedByOneProcessOnce) {
  for (std::int64_t n = 0; n < 40; ++n) {
    for (std::int64_t world = 1; world < 7; ++world) {
      std::map<std::int64_t, int> times;
      for (std::int64_t rank = 0; rank < world; ++rank) {
        for (const std::int64_t row : evaluation_rows(n, {rank, world})) ++times[row];
      }
      ASSERT_EQ(std::ssize(times), n) << world;
      for (const auto& [row, count] : times) EXPECT_EQ(count, 1) << n << " " << world << " " << row;
    }
  }
}

/// Lengths from 1 to 1000, in no order.
Rows some_lengths(std::int64_t n) {
  Rows lengths;
  for (std::int64_t i = 0; i < n; ++i) lengths.push_back(1 + i * 7919 % 1000);
  return lengths;
}

/// The batches of a process.
std::vector<Rows> batches_of(const Rows& rows, std::int64_t batch_size) {
  std::vector<Rows> batches;
  for (std::size_t at = 0; at < rows.size(); ++at) {
    if (at % static_cast<std::size_t>(batch_size) == 0) batches.emplace_back();
    batches.back().push_back(rows[at]);
  }
  return batches;
}

/// Positions of all batches padded to their longest row.
std::int64_t padded(const std::vector<Rows>& batches, const Rows& lengths) {
  std::int64_t positions = 0;
  for (const Rows& batch : batches) {
    std::int64_t longest = 0;
    for (const std::int64_t row : batch) {
      longest = std::max(longest, lengths[static_cast<std::size_t>(row)]);
    }
    positions += longest * std::ssize(batch);
  }
  return positions;
}

TEST(Buckets, EachRowIsSeenOnceAndBatchesAreOfSimilarLength) {
  const Rows lengths = some_lengths(1003);
  const std::int64_t real = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  const Rows rows = bucketed_rows(lengths, {16, 20}, 5, 0);
  Rows sorted = rows;
  std::sort(sorted.begin(), sorted.end());
  Rows all(1003);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(sorted, all);
  EXPECT_LT(padded(batches_of(rows, 16), lengths), real * 110 / 100);
  EXPECT_GT(padded(batches_of(training_rows(1003, true, 5, 0), 16), lengths), real * 170 / 100);
}

TEST(Buckets, AnEpochIsAFunctionOfSeedAndNumber) {
  const Rows lengths = some_lengths(200);
  const BucketOptions options{8, 4};
  EXPECT_EQ(bucketed_rows(lengths, options, 5, 3), bucketed_rows(lengths, options, 5, 3));
  EXPECT_NE(bucketed_rows(lengths, options, 5, 3), bucketed_rows(lengths, options, 5, 4));
  EXPECT_NE(bucketed_rows(lengths, options, 5, 3), bucketed_rows(lengths, options, 6, 3));
}

TEST(Buckets, ProcessesTogetherSeeTheBatchesOfOne) {
  for (const std::int64_t n : {1, 7, 96, 200, 201}) {
    const Rows lengths = some_lengths(n);
    for (const std::int64_t world : {2, 3, 4}) {
      const BucketOptions mine{12 / world, 3};
      std::vector<std::vector<Rows>> shares;
      for (std::int64_t rank = 0; rank < world; ++rank) {
        const Rows rows = bucketed_rows(lengths, mine, 9, 1, {rank, world});
        ASSERT_EQ(std::ssize(rows), (n + world - 1) / world);
        shares.push_back(batches_of(rows, mine.batch_size));
      }
      if (n % world != 0) continue;  // then one process sees no row twice
      const auto whole = batches_of(bucketed_rows(lengths, {12, 3}, 9, 1), 12);
      for (std::size_t i = 0; i < whole.size(); ++i) {
        Rows together;
        for (const auto& share : shares) {
          together.insert(together.end(), share.at(i).begin(), share.at(i).end());
        }
        EXPECT_THAT(together, testing::UnorderedElementsAreArray(whole[i])) << n << " " << world;
      }
    }
  }
}

class Numbers : public Dataset {
 public:
  explicit Numbers(std::int64_t size) : size_(size) {}
  Rows lengths() const override { return known ? some_lengths(size_) : Rows(); }
  bool known = true;
  std::int64_t size() const override { return size_; }
  Item get(std::int64_t index) const override {
    Item item;
    item.set("label", at::scalar_tensor(index, at::kLong));
    return item;
  }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::vector<std::int64_t> class_counts() const override { return {size_}; }
  const CsvTable& table() const override { return table_; }

 private:
  std::int64_t size_;
  std::vector<std::string> classes_ = {"any"};
  CsvTable table_;
};

Rows rows_of(Loader& loader) {
  Rows rows;
  loader.start(0);
  while (const auto batch = loader.next()) {
    const at::Tensor index = batch->at("index");
    rows.insert(rows.end(), index.data_ptr<std::int64_t>(),
                index.data_ptr<std::int64_t>() + index.numel());
  }
  return rows;
}

TEST(Sampler, LoaderGivesAShardsRowsInBatches) {
  for (const std::int64_t n : {0, 1, 2, 7, 12}) {
    const Numbers dataset(n);
    for (std::int64_t rank = 0; rank < 3; ++rank) {
      LoaderOptions options;
      options.batch_size = 2;
      options.shard = {rank, 3};
      Loader evaluation(dataset, options);
      EXPECT_EQ(rows_of(evaluation), evaluation_rows(n, options.shard));
      EXPECT_EQ(evaluation.batches(), (n + 5) / 6);  // as on every other process
      options.even_shards = true;
      Loader even(dataset, options);
      EXPECT_EQ(rows_of(even), training_rows(n, false, 0, 0, options.shard));
      options.shuffle = true;
      options.seed = 11;
      Loader shuffled(dataset, options);
      EXPECT_EQ(rows_of(shuffled), training_rows(n, true, 11, 0, options.shard));
    }
  }
}

TEST(Buckets, LoaderGoesOnInTheMiddleOfAnEpoch) {
  Numbers dataset(50);
  LoaderOptions options;
  options.batch_size = 4;
  options.shuffle = true;
  options.length_buckets = 3;
  options.seed = 2;
  Loader loader(dataset, options);
  const Rows all = rows_of(loader);
  EXPECT_EQ(all, bucketed_rows(some_lengths(50), {4, 3}, 2, 0));
  loader.start(0, 5);
  EXPECT_EQ(loader.next()->at("index").data_ptr<std::int64_t>()[0], all[20]);
  dataset.known = false;
  Loader other(dataset, options);
  EXPECT_THROW(other.start(0), ConfigError);
  options.shuffle = false;
  Loader in_order(dataset, options);
  in_order.start(0);
  EXPECT_EQ(in_order.next()->at("index").data_ptr<std::int64_t>()[0], 0);
}

}  // namespace
}  // namespace polyphony::data
