// Losses and metrics of tasks.Classification against values worked out beside it: rows of one class
// and of several, with weights.
#include <polyphony/tasks/classification.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <torch/types.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/optim/sgd.h>

#include "scratch.h"
#include "train/toy.h"

namespace polyphony::tasks {
namespace {

using testing::HasSubstr;

/// A model whose logits are the dataset's, times one weight.
class GivenLogits : public models::Model {
 public:
  struct Options {
    void describe(config::Fields&) {}
  };
  explicit GivenLogits(const Options&) { scale_ = register_parameter("scale", torch::ones({1})); }
  at::Tensor forward(const data::Batch& batch) override { return batch.at("logits") * scale_; }
  std::vector<std::string> inputs() const override { return {"logits"}; }

 private:
  at::Tensor scale_;
};
POLYPHONY_REGISTER(models::Model, GivenLogits, "test.GivenLogits", "logits of the dataset")

using Numbers = std::vector<std::vector<float>>;

/// Rows of logits; their labels are one a row, or an answer a class.
class Rows : public data::Dataset {
 public:
  Rows(Numbers logits, Numbers labels) : logits_(std::move(logits)), labels_(std::move(labels)) {}

  std::int64_t size() const override { return std::ssize(logits_); }
  data::Item get(std::int64_t index) const override {
    const auto at = static_cast<std::size_t>(index);
    data::Item item;
    item.set("logits", torch::tensor(logits_[at]));
    item.set("label", multi_label() ? torch::tensor(labels_[at])
                                    : torch::tensor(static_cast<std::int64_t>(labels_[at][0])));
    return item;
  }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::vector<std::int64_t> class_counts() const override {
    std::vector<std::int64_t> counts(classes_.size());
    for (const auto& label : labels_) {
      for (std::size_t c = 0; c < classes_.size(); ++c) {
        const bool has = multi_label() ? label[c] > 0 : static_cast<std::size_t>(label[0]) == c;
        counts[c] += has ? 1 : 0;
      }
    }
    return counts;
  }
  bool multi_label() const override { return labels_[0].size() > 1; }
  std::int64_t unlabelled() const override { return 0; }
  const CsvTable& table() const override { return table_; }

 private:
  Numbers logits_;
  Numbers labels_;
  std::vector<std::string> classes_{"calm", "glad", "sad"};
  CsvTable table_;
};

const Numbers kLogits = {{0.5F, -1.0F, 2.0F}, {-0.5F, 0.25F, 1.0F}, {1.5F, 0.75F, -2.0F}};
const Numbers kSeveral = {{1, 0, 1}, {1, 1, 0}, {0, 1, 0}};
const Numbers kOne = {{2}, {0}, {0}};

std::unique_ptr<train::Task> task_of(const std::string& more,
                                     const std::string& type = "Classification") {
  return config::build<train::Task>(config::parse_yaml("_target_: polyphony.tasks." + type +
                                                           "\nnum_labels: 3\n"
                                                           "model: {_target_: test.GivenLogits}\n" +
                                                           more,
                                                       "task.yaml"),
                                    "task");
}

struct Logged {
  std::vector<std::string> lines;

  double operator()(const std::string& name) const {
    for (const std::string& line : lines) {
      const std::size_t at = line.find(" " + name + "=");
      if (at != std::string::npos) return std::stod(line.substr(at + name.size() + 2));
    }
    ADD_FAILURE() << name << " was not logged";
    return NAN;
  }
};

/// What an epoch logs that trains (at rate 0) and validates on the same rows, in batches of two.
Logged epoch(train::Task& task, const Rows& rows) {
  Logged logged;
  train::TrainerParts parts;
  parts.loggers.push_back(std::make_unique<train::Lines>(logged.lines));
  train::Trainer trainer(train::quiet(1), scratch_directory(), std::move(parts));
  data::LoaderOptions loading;
  loading.batch_size = 2;
  loading.workers = 0;
  data::Loader train(rows, loading);
  data::Loader val(rows, loading);
  task.setup(rows);
  optim::SgdOptions still;
  still.lr = 0.0;
  task.optimize_with({std::make_unique<optim::Sgd>(still), nullptr});
  trainer.fit(task, train, &val, "");
  return logged;
}

double log_sigmoid(double x) { return -std::log1p(std::exp(-x)); }

/// Binary cross-entropy of kLogits and kSeveral: the mean over all answers of
/// weight * -(pos_weight * y * log s(x) + (1 - y) * log(1 - s(x))).
double binary_cross_entropy(const std::vector<double>& weight, const std::vector<double>& positive,
                            double smoothing = 0) {
  double sum = 0;
  for (std::size_t row = 0; row < kLogits.size(); ++row) {
    for (std::size_t c = 0; c < 3; ++c) {
      const double x = kLogits[row][c];
      const double y = kSeveral[row][c] * (1 - smoothing) + smoothing / 2;
      sum -= weight[c] * (positive[c] * y * log_sigmoid(x) + (1 - y) * log_sigmoid(-x));
    }
  }
  return sum / 9;
}

const std::vector<double> kOnes = {1, 1, 1};

// Predicted: {1,0,1}, {0,1,1}, {1,1,0}. calm: tp 1, fp 1, fn 1; glad: tp 2; sad: tp 1, fp 1.
TEST(Classification, RowsOfSeveralClassesHaveBinaryCrossEntropyAndMultilabelMetrics) {
  const Logged logged = epoch(*task_of("multi_label: true\n"), Rows(kLogits, kSeveral));
  EXPECT_NEAR(logged("train_loss"), binary_cross_entropy(kOnes, kOnes), 1e-6);
  EXPECT_NEAR(logged("val_loss"), binary_cross_entropy(kOnes, kOnes), 1e-6);
  EXPECT_NEAR(logged("val_MultilabelF1Score"), (0.5 + 1.0 + 2.0 / 3) / 3, 1e-6);
  EXPECT_NEAR(logged("val_MultilabelAccuracy"), (1.0 / 3 + 1.0 + 2.0 / 3) / 3, 1e-6);
  EXPECT_EQ(logged("train_MultilabelF1Score"), logged("val_MultilabelF1Score"));
}

// A multilabel metric takes a batch of scores in [0, 1] for probabilities, and 0.3 for a no.
TEST(Classification, LogitsBetween0And1AreLogits) {
  const Numbers logits = {{0.3F, 0.1F, 0.2F}, {0.9F, 0.4F, 0.05F}};
  const Logged logged =
      epoch(*task_of("multi_label: true\n"), Rows(logits, {{1, 1, 1}, {1, 1, 1}}));
  EXPECT_NEAR(logged("val_MultilabelF1Score"), 1.0, 1e-6);
}

TEST(Classification, NamedMetricsOfSeveralClassesAreLogged) {
  const Logged logged = epoch(
      *task_of("multi_label: true\nmetrics:\n  _target_: polyphony.metrics.MetricCollection\n"
               "  metrics:\n    - {_target_: polyphony.metrics.MultilabelPrecision, num_labels: 3, "
               "average: micro}\n"),
      Rows(kLogits, kSeveral));
  EXPECT_NEAR(logged("val_MultilabelPrecision"), 4.0 / 6, 1e-6);
}

TEST(Classification, ListsWeighClassesAndPositiveRowsOfTheTraining) {
  const Rows rows(kLogits, kSeveral);
  const std::vector<double> weight = {1.0, 2.5, 0.0};
  const std::vector<double> positive = {3.0, 0.5, 1.0};
  const Logged classes = epoch(*task_of("multi_label: true\nclass_weights: [1.0, 2.5, 0]\n"), rows);
  EXPECT_NEAR(classes("train_loss"), binary_cross_entropy(weight, kOnes), 1e-6);
  EXPECT_NEAR(classes("val_loss"), binary_cross_entropy(kOnes, kOnes), 1e-6);
  const Logged both = epoch(*task_of("multi_label: true\nclass_weights: [1.0, 2.5, 0]\n"
                                     "pos_weight: [3, 0.5, 1]\nlabel_smoothing: 0.2\n"),
                            rows);
  EXPECT_NEAR(both("train_loss"), binary_cross_entropy(weight, positive, 0.2), 1e-6);
}

// Rows without a class / rows with it: calm 1/2, glad 1/2, sad 2/1.
TEST(Classification, BalancedWeighsTheRowsThatHaveAClass) {
  const std::vector<double> positive = {0.5, 0.5, 2.0};
  for (const char* option : {"class_weights", "pos_weight"}) {
    const Logged logged =
        epoch(*task_of(std::string("multi_label: true\n") + option + ": balanced\n"),
              Rows(kLogits, kSeveral));
    EXPECT_NEAR(logged("train_loss"), binary_cross_entropy(kOnes, positive), 1e-6) << option;
  }
}

TEST(Classification, AClassOfEveryRowOrOfNoneWeighs1) {
  const Numbers labels = {{1, 0, 1}, {1, 0, 0}, {1, 0, 0}};
  const Logged plain = epoch(*task_of("multi_label: true\n"), Rows(kLogits, labels));
  const Logged balanced =
      epoch(*task_of("multi_label: true\nclass_weights: balanced\n"), Rows(kLogits, labels));
  // Only the row of "sad" weighs more: 2 for its one answer of 9.
  EXPECT_NEAR(balanced("train_loss") - plain("train_loss"), -log_sigmoid(2.0) / 9, 1e-6);
}

/// -log softmax of the label's logit.
double surprise(std::size_t row) {
  double sum = 0;
  for (const float x : kLogits[row]) sum += std::exp(x);
  return std::log(sum) - kLogits[row][static_cast<std::size_t>(kOne[row][0])];
}

// torch.nn.CrossEntropyLoss(weight): each batch's mean is weighted by the labels' weights. Batches
// are rows 0 and 1, and row 2; the epoch's value is their mean by rows.
TEST(Classification, AListWeighsRowsOfOneClassEach) {
  const Logged logged = epoch(*task_of("class_weights: [0.5, 1.0, 2.0]\n"), Rows(kLogits, kOne));
  const double first = (2.0 * surprise(0) + 0.5 * surprise(1)) / 2.5;
  EXPECT_NEAR(logged("train_loss"), (2 * first + surprise(2)) / 3, 1e-6);
  EXPECT_NEAR(logged("val_loss"), (surprise(0) + surprise(1) + surprise(2)) / 3, 1e-6);
}

TEST(Classification, ItsSiblingsWeighClassesToo) {
  const double first = (2.0 * surprise(0) + 0.5 * surprise(1)) / 2.5;
  const double mean = (surprise(0) + surprise(1) + surprise(2)) / 3;
  const Logged tuned = epoch(*task_of("class_weights: [0.5, 1.0, 2.0]\n", "SequenceClassification"),
                             Rows(kLogits, kOne));
  EXPECT_NEAR(tuned("loss_epoch"), (2 * first + surprise(2)) / 3, 1e-6);
  EXPECT_NEAR(tuned("eval_loss"), mean, 1e-6);
  const Logged fused =
      epoch(*task_of("class_weights: [0.5, 1.0, 2.0]\nlr: 0.0\n", "MultiModalArchitecture"),
            Rows(kLogits, kOne));
  EXPECT_NEAR(fused("train_loss"), (2 * first + surprise(2)) / 3, 1e-6);
  EXPECT_NEAR(fused("val_loss"), mean, 1e-6);
}

TEST(Classification, NullNoneAndOnesAreNoWeights) {
  const double plain = epoch(*task_of(""), Rows(kLogits, kOne))("train_loss");
  for (const char* weights : {"null", "none", "[1, 1.0, 1]"}) {
    const Logged logged =
        epoch(*task_of(std::string("class_weights: ") + weights + "\n"), Rows(kLogits, kOne));
    EXPECT_NEAR(logged("train_loss"), plain, 1e-7) << weights;
  }
}

std::string complaint(const std::string& more, const Numbers& labels) {
  try {
    task_of(more)->setup(Rows(kLogits, labels));
  } catch (const ConfigError& error) {
    return std::string(error.what()) + " / " + error.remedy();
  }
  ADD_FAILURE() << more << "was taken";
  return "";
}

TEST(Classification, RefusesWeightsThatAreNone) {
  EXPECT_THAT(complaint("class_weights: [1, 2]\n", kOne),
              HasSubstr("task.class_weights: 2 weights for 3 classes"));
  for (const char* bad : {"[1, -1, 1]", "[1, .nan, 1]", "[1, .inf, 1]", "[0, 0, 0]", "[]"}) {
    EXPECT_THAT(complaint(std::string("class_weights: ") + bad + "\n", kOne),
                HasSubstr("task.class_weights: option of polyphony.tasks.Classification must be "
                          "finite, not negative, and not all 0"))
        << bad;
  }
  for (const char* bad : {"inverse", "2.0", "true", "[1, two, 3]", "{calm: 2}"}) {
    EXPECT_THAT(complaint(std::string("class_weights: ") + bad + "\n", kOne),
                HasSubstr("wants none|balanced or list[float]"))
        << bad;
  }
  EXPECT_THAT(complaint("multi_label: true\npos_weight: [1, 2, 3, 4]\n", kSeveral),
              HasSubstr("task.pos_weight: 4 weights for 3 classes"));
}

TEST(Classification, RefusesOptionsThatContradictEachOtherOrTheRows) {
  EXPECT_THAT(complaint("pos_weight: [1, 2, 3]\n", kOne), HasSubstr("write class_weights instead"));
  EXPECT_THAT(
      complaint("multi_label: true\npos_weight: [1, 2, 3]\nclass_weights: balanced\n", kSeveral),
      HasSubstr("leave one of them out"));
  EXPECT_THAT(complaint("multi_label: true\n", kOne),
              HasSubstr("task.multi_label is true, but the dataset's rows have one class each"));
  EXPECT_THAT(complaint("", kSeveral),
              HasSubstr("task.multi_label is false, but the dataset's rows have several classes"));
}

}  // namespace
}  // namespace polyphony::tasks
