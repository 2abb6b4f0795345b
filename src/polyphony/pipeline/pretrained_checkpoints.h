#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/base/directory.h>
#include <polyphony/train/callback.h>
#include <polyphony/train/owned_files.h>
#include <polyphony/train/stage.h>
#include <polyphony/train/training_arguments.h>

namespace polyphony::pipeline {

/// What Transformers' Trainer keeps of a training: OUTPUT_DIR/checkpoint-STEP folders, which
/// Transformers loads, each with trainer_state.json (its log and the best checkpoint so far) and
/// trainer.ckpt, from which a training goes on here to the bit. What it deletes is what this
/// training has written, or the one that it goes on with in the same OUTPUT_DIR, whose lock it
/// holds; another's folder of the same name is put aside.
class PretrainedCheckpoints : public train::Callback {
 public:
  /// Writes model, configuration and companions into a folder.
  using SaveModel = std::function<void(const std::filesystem::path&)>;
  PretrainedCheckpoints(const train::TrainingArguments& arguments, std::int64_t total_steps,
                        SaveModel save_model);

  void setup(train::Trainer& trainer) override;
  void teardown(train::Trainer&) override { unlock(); }
  void on_exception(train::Trainer&, const std::exception&) override { unlock(); }
  void on_load_checkpoint(train::Trainer& trainer, const tensor::Value& checkpoint) override;
  void on_fit_start(train::Trainer& trainer) override;
  void on_train_start(train::Trainer& trainer) override;
  void on_train_end(train::Trainer& trainer) override;
  void on_train_batch_end(train::Trainer& trainer, double loss, std::int64_t index) override;
  void on_validation_end(train::Trainer& trainer) override;
  void on_train_epoch_end(train::Trainer& trainer) override;
  bool saves_checkpoints() const override { return true; }
  std::string name() const override { return "PretrainedCheckpoints"; }
  std::string state_key() const override { return "PretrainedCheckpoints"; }
  tensor::Value state_dict() const override;
  void load_state_dict(const tensor::Value& state) override;
  /// What it has saved, and the rest as it was `before`.
  tensor::Value state_after_failure(tensor::Value before) const override;

  /// The best checkpoint's folder; empty where none was compared.
  const std::string& best() const { return saved_.best; }

  /// The newest checkpoint-STEP of a folder; nullopt where it has none.
  static std::optional<std::filesystem::path> newest(const std::filesystem::path& output_dir);

 private:
  void log(train::Trainer& trainer, train::MetricValues values);
  void lock(train::Trainer& trainer);
  void unlock();
  /// Whether the step was evaluated, so that it can be the best.
  enum class Judged { kNo, kYes };
  void save(train::Trainer& trainer, Judged judged = Judged::kYes);
  void write(train::Trainer& trainer, const std::filesystem::path& folder);
  void compare(train::Trainer& trainer, const std::string& folder);
  void rotate(train::Trainer& trainer);
  std::string trainer_state(train::Trainer& trainer) const;

  /// What is saved, and which of it is best: restored where a save fails.
  struct Saved {
    std::vector<std::string> folders;  ///< of this training, oldest first
    std::string best;
    std::optional<double> best_metric;
    std::int64_t step = -1;
  };
  static void add_state(const Saved& saved, tensor::Value& state);

  train::TrainingArguments arguments_;
  std::int64_t total_steps_;
  SaveModel save_model_;
  std::vector<std::string> log_;  ///< JSON objects
  Saved saved_;
  train::OwnedFiles files_;
  bool locked_ = false;  ///< by rank 0, for all
  std::shared_ptr<RunLock> lock_;
  std::filesystem::path resumed_folder_;  ///< OUTPUT_DIR of the checkpoint that is gone on from
  bool in_place_ = false;                 ///< it is this one's
  std::int64_t first_step_ = 0;
  double losses_ = 0;  ///< since the last line of the log
  std::int64_t counted_ = 0;
  std::int64_t logged_step_ = 0;
};

}  // namespace polyphony::pipeline
