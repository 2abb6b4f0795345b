#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/train/callback.h>
#include <polyphony/train/stage.h>
#include <polyphony/train/training_arguments.h>

namespace polyphony::pipeline {

/// What Transformers' Trainer keeps of a training: OUTPUT_DIR/checkpoint-STEP folders, which
/// Transformers loads, each with trainer_state.json (its log and the best checkpoint so far) and
/// trainer.ckpt, from which a training goes on here to the bit.
class PretrainedCheckpoints : public train::Callback {
 public:
  /// Writes model, configuration and companions into a folder.
  using SaveModel = std::function<void(const std::filesystem::path&)>;
  PretrainedCheckpoints(const train::TrainingArguments& arguments, std::int64_t total_steps,
                        SaveModel save_model);

  void setup(train::Trainer& trainer) override;
  void on_train_batch_end(train::Trainer& trainer, double loss, std::int64_t index) override;
  void on_validation_end(train::Trainer& trainer) override;
  void on_train_epoch_end(train::Trainer& trainer) override;
  bool saves_checkpoints() const override { return true; }
  std::string name() const override { return "PretrainedCheckpoints"; }
  std::string state_key() const override { return "PretrainedCheckpoints"; }
  tensor::Value state_dict() const override;
  void load_state_dict(const tensor::Value& state) override;

  /// The best checkpoint's folder; empty where none was compared.
  const std::string& best() const { return best_; }

  /// The newest checkpoint-STEP of a folder; nullopt where it has none.
  static std::optional<std::filesystem::path> newest(const std::filesystem::path& output_dir);

 private:
  void log(train::Trainer& trainer, train::MetricValues values);
  void save(train::Trainer& trainer);
  void compare(train::Trainer& trainer, const std::string& folder);
  void rotate();
  std::string trainer_state(train::Trainer& trainer) const;

  train::TrainingArguments arguments_;
  std::int64_t total_steps_;
  SaveModel save_model_;
  std::vector<std::string> log_;      ///< JSON objects
  std::vector<std::string> folders_;  ///< of this training, oldest first
  std::string best_;
  std::optional<double> best_metric_;
  double losses_ = 0;  ///< since the last line of the log
  std::int64_t counted_ = 0;
  std::int64_t logged_step_ = 0;
  std::int64_t saved_step_ = -1;
};

}  // namespace polyphony::pipeline
