#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/base/progress.h>
#include <polyphony/callbacks/mode.h>
#include <polyphony/config/fields.h>
#include <polyphony/train/callback.h>
#include <polyphony/train/limit.h>

namespace polyphony::callbacks {

struct ModelCheckpointOptions {
  std::optional<std::string> dirpath;
  std::optional<std::string> filename;
  std::optional<std::string> monitor;
  bool verbose = false;
  bool save_last = false;
  int save_top_k = 1;
  bool save_weights_only = false;
  Mode mode = Mode::kMin;
  bool auto_insert_metric_name = true;
  std::optional<std::int64_t> every_n_train_steps;
  std::optional<train::Duration> train_time_interval;
  std::optional<std::int64_t> every_n_epochs;
  std::optional<bool> save_on_train_epoch_end;
  bool safetensors = false;

  void describe(config::Fields& f);
};

/// Saves checkpoints by a monitored metric, by time or by steps, with Lightning's choices and file
/// names. Scores are compared in single precision, as Lightning's tensors are.
class ModelCheckpoint : public train::Callback {
 public:
  using Options = ModelCheckpointOptions;
  explicit ModelCheckpoint(Options options, SecondsClock clock = steady_seconds);

  std::string name() const override { return "ModelCheckpoint"; }
  void setup(train::Trainer& trainer) override;
  void on_train_start(train::Trainer& trainer) override;
  void on_train_batch_end(train::Trainer& trainer, double loss, std::int64_t index) override;
  void on_train_epoch_end(train::Trainer& trainer) override;
  void on_validation_end(train::Trainer& trainer) override;
  bool saves_checkpoints() const override { return true; }
  std::string state_key() const override;
  tensor::Value state_dict() const override;
  void load_state_dict(const tensor::Value& state) override;

  /// The best checkpoint so far; "" where none was saved.
  const std::string& best_path() const { return best_path_; }
  std::optional<float> best_score() const { return best_score_; }
  const std::string& last_path() const { return last_path_; }
  const std::string& kth_best_path() const { return kth_best_path_; }
  float kth_value() const { return kth_value_; }
  /// Path and score of those kept, in the order of saving.
  const std::vector<std::pair<std::string, float>>& best_k_models() const { return best_k_; }

 private:
  /// Metrics that a file name may use; epoch and step are whole numbers.
  struct Candidates {
    train::MetricValues metrics;
    std::int64_t epoch = 0;
    std::int64_t step = 0;
  };

  bool skips(const train::Trainer& trainer) const;
  bool saves_on_train_epoch_end(const train::Trainer& trainer) const;
  void save_at_epoch(train::Trainer& trainer);
  void save_top_k(train::Trainer& trainer, const Candidates& candidates);
  void save_monitored(train::Trainer& trainer, const Candidates& candidates, float score);
  void save_newest(train::Trainer& trainer, const Candidates& candidates);
  void save_last(train::Trainer& trainer, const Candidates& candidates);
  void save(train::Trainer& trainer, const std::string& path);
  void remove(train::Trainer& trainer, const std::string& path) const;
  std::string path_of(const Candidates& candidates, const std::string& pattern, int version) const;
  /// The first free name; one that is `own` counts as free.
  std::string free_path(train::Trainer& trainer, const Candidates& candidates,
                        const std::string& pattern, const std::string& own) const;
  static Candidates candidates(train::Trainer& trainer);

  Options options_;
  SecondsClock clock_;
  std::string directory_;
  std::int64_t every_n_train_steps_ = 0;
  std::int64_t every_n_epochs_ = 1;
  std::vector<std::pair<std::string, float>> best_k_;
  std::string best_path_;
  std::optional<float> best_score_;
  std::optional<float> current_score_;
  std::string kth_best_path_;
  float kth_value_;
  std::string last_path_;
  std::int64_t last_global_step_saved_ = 0;
  double last_time_ = 0;
};

}  // namespace polyphony::callbacks
