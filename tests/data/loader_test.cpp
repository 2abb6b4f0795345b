#include <polyphony/data/loader.h>

#include <set>

#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>

#include <polyphony/base/error.h>

namespace polyphony::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Row i is a scalar label i and a sequence of i + 1 ones; one row may be broken.
class Rows : public Dataset {
 public:
  explicit Rows(std::int64_t size, std::int64_t broken = -1) : size_(size), broken_(broken) {}
  std::int64_t size() const override { return size_; }
  Item get(std::int64_t index) const override {
    if (index == broken_) throw DataError("rows.csv: row " + std::to_string(index) + " is broken");
    Item item;
    item.set("label", at::scalar_tensor(index, at::kLong));
    item.set("x", at::ones({index + 1, 2}));
    return item;
  }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::vector<std::int64_t> class_counts() const override { return {size_}; }
  const CsvTable& table() const override { return table_; }

 private:
  std::int64_t size_;
  std::int64_t broken_;
  std::vector<std::string> classes_ = {"any"};
  CsvTable table_;
};

LoaderOptions options(int workers, bool shuffle) {
  LoaderOptions options;
  options.batch_size = 4;
  options.workers = workers;
  options.shuffle = shuffle;
  options.seed = 7;
  return options;
}

std::vector<std::int64_t> values(const at::Tensor& tensor) {
  const auto* data = tensor.data_ptr<std::int64_t>();
  return {data, data + tensor.numel()};
}

std::vector<std::vector<std::int64_t>> order(Loader& loader, std::int64_t epoch,
                                             std::int64_t first = 0) {
  std::vector<std::vector<std::int64_t>> batches;
  loader.start(epoch, first);
  while (const std::optional<Batch> batch = loader.next())
    batches.push_back(values(batch->at("index")));
  return batches;
}

TEST(Loader, PadsSequencesAndKeepsTheirLengths) {
  const Rows rows(6);
  Loader loader(rows, options(1, false));
  loader.start(0);
  const std::optional<Batch> batch = loader.next();
  ASSERT_TRUE(batch);
  EXPECT_THAT(values(batch->at("label")), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(values(batch->at("x_length")), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(batch->at("x").sizes(), (std::vector<std::int64_t>{4, 4, 2}));
  EXPECT_EQ(batch->at("x")[0].sum().item<float>(), 2.0F);
  EXPECT_THAT(values(loader.next()->at("label")), ElementsAre(4, 5));
  EXPECT_FALSE(loader.next());
  EXPECT_EQ(loader.batches(), 2);
}

TEST(Loader, OrderDependsOnSeedAndEpochAloneNotOnWorkers) {
  const Rows rows(30);
  Loader here(rows, options(0, true));
  const auto first = order(here, 3);
  for (const int workers : {1, 2, 5}) {
    Loader loader(rows, options(workers, true));
    EXPECT_EQ(order(loader, 3), first) << workers;
  }
  EXPECT_NE(order(here, 4), first);
  std::set<std::int64_t> seen;
  for (const auto& batch : first) seen.insert(batch.begin(), batch.end());
  EXPECT_EQ(seen.size(), 30U);
}

TEST(Loader, ResumesInTheMiddleOfAnEpochInTheSameOrder) {
  const Rows rows(30);
  Loader loader(rows, options(2, true));
  const auto whole = order(loader, 1);
  const auto rest = order(loader, 1, 5);
  EXPECT_EQ(rest, std::vector(whole.begin() + 5, whole.end()));
}

TEST(Loader, WorkersErrorComesInItsPlace) {
  const Rows rows(12, 5);
  for (const int workers : {0, 3}) {
    Loader loader(rows, options(workers, false));
    loader.start(0);
    EXPECT_TRUE(loader.next());
    try {
      loader.next();
      FAIL() << "no error";
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("row 5"));
    }
  }
}

TEST(Loader, CanBeLeftAndStartedAnewInTheMiddle) {
  const Rows rows(40);
  Loader loader(rows, options(3, false));
  loader.start(0);
  loader.next();
  loader.start(1);
  EXPECT_THAT(values(loader.next()->at("index")), ElementsAre(0, 1, 2, 3));
}

TEST(Tensors, MissingNameIsSaidWithTheNamesThereAre) {
  Tensors tensors;
  tensors.set("label", at::tensor({1}));
  try {
    tensors.at("audio");
    FAIL() << "no error";
  } catch (const std::out_of_range& error) {
    EXPECT_THAT(error.what(), HasSubstr("audio"));
    EXPECT_THAT(error.what(), HasSubstr("label"));
  }
}

}  // namespace
}  // namespace polyphony::data
