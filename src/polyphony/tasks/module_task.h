#pragma once

#include <memory>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/metrics/collection.h>
#include <polyphony/models/model.h>
#include <polyphony/train/task.h>

namespace polyphony::tasks {

/// A task whose parameters and buffers are those of one model, under state-dict names that begin
/// with "model.".
class ModuleTask : public train::Task {
 public:
  explicit ModuleTask(std::shared_ptr<models::Model> model) : model_(std::move(model)) {}

  at::Tensor predict_step(const data::Batch& batch, std::int64_t) override {
    return model_->forward(batch);
  }
  train::NamedTensors parameters() const override;
  train::NamedTensors state() const override;
  void load_state(const train::NamedTensors& state, const std::string& source) override;
  void set_training(bool on) override { model_->train(on); }
  std::string summary(int max_depth) const override;

  models::Model& model() const { return *model_; }

 protected:
  /// Starts parts of the model with encoders of single-modality checkpoints. @param checkpoints
  /// PATH by the part's name  @throws ConfigError for a part that the model lacks, DataError for
  /// weights that do not fit
  void init_from(const config::Named<std::string>& checkpoints);
  /// Takes parts of the model out of the training. @throws ConfigError for one that it lacks
  void freeze(const std::vector<std::string>& parts);
  /// Logs metrics of all processes' rows since the last reset, and resets them.
  void log_metrics(metrics::MetricCollection& metrics);

 private:
  std::shared_ptr<models::Model> model_;
};

}  // namespace polyphony::tasks
