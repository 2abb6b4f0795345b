#pragma once

#include <functional>
#include <string>
#include <vector>

#include <polyphony/metrics/choices.h>
#include <polyphony/tasks/classification_loss.h>
#include <polyphony/tasks/module_task.h>

namespace polyphony::tasks {

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

/// Cross-entropy over single labels, or binary cross-entropy of each class if a row may have
/// several, with F1 and accuracy over each epoch. Evaluations know no weights and no smoothing.
class Classification : public ModuleTask {
 public:
  using Options = ClassificationOptions;
  explicit Classification(Options options);

  void setup(const data::Dataset& dataset) override;
  at::Tensor training_step(const data::Batch& batch, std::int64_t index) override;
  void validation_step(const data::Batch& batch, std::int64_t index) override;
  void test_step(const data::Batch& batch, std::int64_t index) override;
  void training_epoch_end() override;
  void validation_epoch_end() override;
  void test_epoch_end() override;
  void on_validation_epoch_start() override;
  void on_test_epoch_start() override;

  tensor::Value metric_state() const override;
  void load_metric_state(const tensor::Value& state) override;
  std::function<tensor::Value()> metric_snapshot() const override;
  bool merge_metric_state(const tensor::Value& other) override;

 private:
  /// Loss of a batch, whose rows enter the stage's metrics.
  at::Tensor step(const data::Batch& batch, train::Stage stage);

  Options options_;
  ClassificationLoss loss_;
  std::vector<metrics::MetricCollection> metrics_;  ///< one a stage
};

}  // namespace polyphony::tasks
