#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/data/dataset.h>

namespace polyphony::train {

enum class Stage { kTrain, kValidate, kTest, kPredict };

/// "train_", "val_", "test_", "predict_": what metric names begin with.
const char* prefix(Stage stage);

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;
using MetricValues = std::vector<std::pair<std::string, double>>;

struct StepOutput {
  at::Tensor loss;    ///< float [], mean over the batch; undefined at prediction
  at::Tensor logits;  ///< float [batch, classes]
};

/// What is learnt: a model, its loss and its metrics. The counterpart of LightningModule.
class Task {
 public:
  static constexpr const char* kKind = "Task";
  virtual ~Task() = default;

  /// Sees the dataset before the first step. @throws DataError where they do not fit each other
  virtual void setup(const data::Dataset& dataset) = 0;
  virtual StepOutput step(const data::Batch& batch, Stage stage) = 0;
  /// What the optimizer moves, under state-dict names.
  virtual NamedTensors parameters() const = 0;
  /// Parameters and buffers, under state-dict names.
  virtual NamedTensors state() const = 0;
  /// Copies a state dict in. @throws DataError listing missing, unexpected and misshapen names
  virtual void load_state(const NamedTensors& state, const std::string& source) = 0;
  virtual void set_training(bool on) = 0;

  /// Metrics over all rows since the last reset, named with the stage's prefix.
  virtual MetricValues metrics(Stage stage) const = 0;
  virtual void reset_metrics(Stage stage) = 0;
  /// Accumulators of the running epoch, for an exact resume.
  virtual std::vector<std::int64_t> metric_state(Stage stage) const = 0;
  virtual void load_metric_state(Stage stage, const std::vector<std::int64_t>& counts) = 0;

  /// Layers, parameter counts: one line a layer.
  virtual std::string summary() const = 0;
};

}  // namespace polyphony::train
