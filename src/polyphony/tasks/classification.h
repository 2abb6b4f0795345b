#pragma once

#include <memory>
#include <string>
#include <vector>

#include <polyphony/config/fields.h>
#include <polyphony/metrics/choices.h>
#include <polyphony/metrics/collection.h>
#include <polyphony/models/model.h>
#include <polyphony/train/task.h>

namespace polyphony::tasks {

/// A weight a class: none (all 1), balanced (by the classes' frequency), or a list in label order.
struct ClassWeights {
  enum class Kind { kNone, kBalanced, kGiven } kind = Kind::kNone;
  std::vector<double> values;  ///< of kGiven
};
bool read(const config::Node& node, ClassWeights& weights);
std::string show(const ClassWeights& weights);
inline const char* type_name(const ClassWeights&) { return "none|balanced or list[float]"; }

struct ClassificationOptions {
  config::Child<models::Model> model;
  int num_labels = 0;
  metrics::Average average = metrics::Average::kMacro;
  config::Child<metrics::MetricCollection> metrics;
  ClassWeights class_weights;
  ClassWeights pos_weight;
  double label_smoothing = 0.0;
  bool multi_label = false;
  config::Named<std::string> init_from;
  std::vector<std::string> freeze;

  void describe(config::Fields& f);
};

/// Cross-entropy over single labels, or binary cross-entropy of each class where a row may have
/// several, with F1 and accuracy over each epoch.
class Classification : public train::Task {
 public:
  using Options = ClassificationOptions;
  explicit Classification(Options options);

  void setup(const data::Dataset& dataset) override;
  at::Tensor training_step(const data::Batch& batch, std::int64_t index) override;
  void validation_step(const data::Batch& batch, std::int64_t index) override;
  void test_step(const data::Batch& batch, std::int64_t index) override;
  at::Tensor predict_step(const data::Batch& batch, std::int64_t index) override;
  void training_epoch_end() override;
  void validation_epoch_end() override;
  void test_epoch_end() override;
  void on_validation_epoch_start() override;
  void on_test_epoch_start() override;

  train::NamedTensors parameters() const override;
  train::NamedTensors state() const override;
  void load_state(const train::NamedTensors& state, const std::string& source) override;
  void set_training(bool on) override;
  tensor::Value metric_state() const override;
  void load_metric_state(const tensor::Value& state) override;
  std::function<tensor::Value()> metric_snapshot() const override;
  bool merge_metric_state(const tensor::Value& other) override;
  std::string summary(int max_depth) const override;

  models::Model& model() const { return *model_; }

 protected:
  /// How counts of all processes come together.
  metrics::Exchange over_processes() const;

 private:
  /// Loss of a batch, whose rows enter the stage's metrics.
  at::Tensor step(const data::Batch& batch, train::Stage stage);
  /// What training takes the gradient of, where `train`; else without weights and smoothing.
  at::Tensor training_loss(const at::Tensor& logits, const at::Tensor& label, bool train) const;
  /// Weights that the rows of the training data decide.
  void weigh(const data::Dataset& dataset);
  /// Logs the stage's metrics over all rows since the last reset, and resets them.
  void log_metrics(train::Stage stage);

  Options options_;
  std::shared_ptr<models::Model> model_;
  std::vector<metrics::MetricCollection> metrics_;  // one a stage
  at::Tensor weights_;                              // float [classes]; undefined where all are 1
  at::Tensor
      positive_;  // of the rows that have a class, float [classes]; undefined where all are 1
};

}  // namespace polyphony::tasks
