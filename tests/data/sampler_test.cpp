#include <polyphony/data/sampler.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

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

class Numbers : public Dataset {
 public:
  explicit Numbers(std::int64_t size) : size_(size) {}
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
  std::int64_t batches = 0;
  loader.start(0);
  while (const auto batch = loader.next()) {
    const at::Tensor index = batch->at("index");
    rows.insert(rows.end(), index.data_ptr<std::int64_t>(),
                index.data_ptr<std::int64_t>() + index.numel());
    ++batches;
  }
  EXPECT_EQ(batches, loader.batches());
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

}  // namespace
}  // namespace polyphony::data
