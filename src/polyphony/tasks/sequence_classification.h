#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <polyphony/tasks/classification_loss.h>
#include <polyphony/tasks/module_task.h>

namespace polyphony::tasks {

struct SequenceClassificationOptions {
  config::Child<models::Model> model;
  int num_labels = 0;
  double label_smoothing_factor = 0.0;
  ClassWeights class_weights;

  void describe(config::Fields& f);
};

/// What Transformers' Trainer does with a …ForSequenceClassification: cross-entropy, and in the log
/// under its names "loss" of the training, "eval_loss", "eval_accuracy", "test_loss" and
/// "test_accuracy"; beside them the macro F1, "eval_f1" and "test_f1". Evaluations smooth labels as
/// the training does, and know no class weights.
class SequenceClassification : public ModuleTask {
 public:
  using Options = SequenceClassificationOptions;
  explicit SequenceClassification(const Options& options);
  /// With a model that is built already.
  SequenceClassification(const Options& options, std::shared_ptr<models::Model> model);

  void setup(const data::Dataset& dataset) override;
  at::Tensor training_step(const data::Batch& batch, std::int64_t index) override;
  void validation_step(const data::Batch& batch, std::int64_t index) override;
  void test_step(const data::Batch& batch, std::int64_t index) override;
  void validation_epoch_end() override;
  void test_epoch_end() override;
  void on_validation_epoch_start() override { eval_.reset(); }
  void on_test_epoch_start() override { test_.reset(); }
  /// Training counts nothing.
  tensor::Value metric_state() const override { return tensor::Value::list(); }
  bool merge_metric_state(const tensor::Value&) override { return true; }

  /// What a fit moves the parameters with.
  void optimize_by(std::function<train::Optimization()> make) { optimization_ = std::move(make); }
  train::Optimization configure_optimizers() override {
    return optimization_ ? optimization_() : Task::configure_optimizers();
  }
  /// The trained parameters in two groups: those that are decayed, then biases and the weights of
  /// layer norms. Source: Trainer.create_optimizer and get_parameter_names of Transformers 4.27.
  std::vector<optim::ParamGroup> param_groups(double lr, double weight_decay) const;

 private:
  void evaluate(const data::Batch& batch, metrics::MetricCollection& metrics, const char* prefix);

  int num_labels_;
  double label_smoothing_;
  ClassificationLoss loss_;
  std::function<train::Optimization()> optimization_;
  metrics::MetricCollection eval_;
  metrics::MetricCollection test_;
};

}  // namespace polyphony::tasks
