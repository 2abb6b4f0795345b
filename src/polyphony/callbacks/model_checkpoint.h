#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/callbacks/mode.h>
#include <polyphony/config/fields.h>
#include <polyphony/train/callback.h>

namespace polyphony::callbacks {

struct ModelCheckpointOptions {
  std::optional<std::string> dirpath;
  std::optional<std::string> filename;
  std::optional<std::string> monitor;
  Mode mode = Mode::kMin;
  int save_top_k = 1;
  bool save_last = false;
  bool auto_insert_metric_name = true;
  int every_n_epochs = 1;
  bool verbose = false;

  void describe(config::Fields& f);
};

/// Saves the best checkpoints by a monitored metric after each validation, with Lightning's choices
/// and file names.
class ModelCheckpoint : public train::Callback {
 public:
  using Options = ModelCheckpointOptions;
  explicit ModelCheckpoint(Options options);

  void on_fit_start(train::Trainer& trainer) override;
  void on_validation_end(train::Trainer& trainer) override;
  bool saves_checkpoints() const override { return true; }
  std::string state_key() const override;
  tensor::Value state() const override;
  void load_state(const tensor::Value& state) override;

  /// The best checkpoint so far; "" where none was saved.
  const std::string& best_path() const { return best_path_; }
  std::optional<double> best_score() const;

  /// "epoch={epoch}-{val_loss:.2f}" with the values filled in; with auto_insert_metric_name the
  /// name stands before each value, as in "epoch=3".
  static std::string format_name(const std::string& pattern, const train::MetricValues& values,
                                 bool insert_names);

 private:
  std::string next_path(const train::Trainer& trainer) const;
  void save_top(train::Trainer& trainer, double score);
  void save_newest(train::Trainer& trainer);
  void save(train::Trainer& trainer, const std::string& path);
  void update_best();

  Options options_;
  std::string directory_;
  std::vector<std::pair<std::string, double>> kept_;  // path, score; in order of saving
  std::string best_path_;
  std::string last_path_;
};

}  // namespace polyphony::callbacks
