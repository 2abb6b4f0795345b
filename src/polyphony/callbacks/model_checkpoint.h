#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/base/directory.h>
#include <polyphony/base/terminal/progress.h>
#include <polyphony/callbacks/mode.h>
#include <polyphony/config/bind/fields.h>
#include <polyphony/train/callback.h>
#include <polyphony/train/duration.h>
#include <polyphony/train/owned_files.h>

namespace polyphony::callbacks {

struct ModelCheckpointOptions {
  std::optional<std::string> dirpath;
  std::optional<std::string> filename;
  std::optional<std::string> monitor;
  bool verbose = false;
  std::optional<bool> save_last;
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
///
/// What it deletes or replaces is what this run has written, or the run that it goes on with in the
/// same directory (train::OwnedFiles). A run that goes on in another directory keeps the ranking,
/// and the ranked files come with it (hard links, or a copy of the best); it deletes nothing of the
/// other run's. While it saves, it holds the directory's lock.
class ModelCheckpoint : public train::Callback {
 public:
  using Options = ModelCheckpointOptions;
  explicit ModelCheckpoint(Options options, SecondsClock clock = steady_seconds);

  std::string name() const override { return "ModelCheckpoint"; }
  void setup(train::Trainer& trainer) override;
  void teardown(train::Trainer&) override { unlock(); }
  void on_exception(train::Trainer&, const std::exception&) override { unlock(); }
  void on_load_checkpoint(train::Trainer& trainer, const tensor::Value& checkpoint) override;
  void on_fit_start(train::Trainer& trainer) override;
  void on_train_start(train::Trainer& trainer) override;
  void on_train_end(train::Trainer& trainer) override;
  void on_train_batch_end(train::Trainer& trainer, double loss, std::int64_t index) override;
  void on_train_epoch_end(train::Trainer& trainer) override;
  void on_validation_end(train::Trainer& trainer) override;
  bool saves_checkpoints() const override { return true; }
  std::filesystem::path checkpoint_directory() const override {
    return options_.dirpath ? directory_ : "";
  }
  std::string state_key() const override;
  tensor::Value state_dict() const override;
  void load_state_dict(const tensor::Value& state) override;
  // It saves once a step, and only what is wholly done counts: it goes on from where it is.
  std::optional<std::uint64_t> state_revision() const override { return 0; }
  tensor::Value state_after_failure(tensor::Value) const override { return state_dict(); }

  /// The best checkpoint so far; "" if none was saved.
  const std::string& best_path() const { return now_.best_path; }
  std::optional<float> best_score() const { return now_.best_score; }
  const std::string& last_path() const { return now_.last_path; }
  const std::string& kth_best_path() const { return now_.kth_best_path; }
  float kth_value() const { return now_.kth_value; }
  /// Path and score of those kept, in the order of saving.
  const std::vector<std::pair<std::string, float>>& best_k_models() const { return now_.best_k; }

 private:
  /// Metrics that a file name may use; epoch and step are whole numbers.
  struct Candidates {
    train::MetricValues metrics;
    std::int64_t epoch = 0;
    std::int64_t step = 0;
  };

  /// What is ranked, and what is saved of it: restored if a save fails.
  struct Ranking {
    std::vector<std::pair<std::string, float>> best_k;
    std::string best_path;
    std::optional<float> best_score;
    std::optional<float> current_score;
    std::string kth_best_path;
    float kth_value = 0;
    std::string last_path;
    std::int64_t last_global_step_saved = 0;
  };
  /// A ranked checkpoint of the run that is gone on with.
  struct Earlier {
    std::string path;  ///< as the state names it
    std::optional<Fingerprint> written;
  };

  void lock(train::Trainer& trainer);
  void unlock();
  bool skips(const train::Trainer& trainer) const;
  bool saves_on_train_epoch_end(const train::Trainer& trainer) const;
  void save_at_epoch(train::Trainer& trainer);
  void save_all(train::Trainer& trainer, bool ranked);
  void save_top_k(train::Trainer& trainer, const Candidates& candidates);
  void save_monitored(train::Trainer& trainer, const Candidates& candidates, float score);
  void save_newest(train::Trainer& trainer, const Candidates& candidates);
  void save_last(train::Trainer& trainer, const Candidates& candidates);
  void save(train::Trainer& trainer, const std::string& path);
  void write(train::Trainer& trainer, const std::string& path);
  void remove(train::Trainer& trainer, const std::string& path);
  bool taken(const std::string& path, const std::string& own) const;
  std::string path_of(const Candidates& candidates, const std::string& pattern, int version) const;
  /// The first free name; one that is `own` counts as free.
  std::string free_path(train::Trainer& trainer, const Candidates& candidates,
                        const std::string& pattern, const std::string& own) const;
  static Candidates candidates(train::Trainer& trainer);

  // Going on with a run (model_checkpoint_resume.cpp).
  std::string moved(const std::string& path) const;
  Earlier earlier(const std::string& path) const;
  bool is_there(const Earlier& file, bool whole) const;
  std::string bring(const Earlier& file, bool best);
  std::string adopt(const std::string& path, bool best, bool stays);
  void adopt_ranking(train::Trainer& trainer);
  void rank_anew();

  Options options_;
  SecondsClock clock_;
  std::string directory_;
  std::int64_t every_n_train_steps_ = 0;
  std::int64_t every_n_epochs_ = 1;
  Ranking now_;
  Ranking written_;                ///< of the files that stand, while others are being saved
  std::int64_t ranked_step_ = -1;  ///< ranked and saved, while last.ckpt is not
  train::OwnedFiles files_;
  bool locked_ = false;  ///< by rank 0, for all
  std::shared_ptr<RunLock> lock_;
  std::filesystem::path resumed_from_;  ///< where that checkpoint lies; empty: begun anew
  bool in_place_ = false;               ///< it lies in this run's directory
  std::string earlier_directory_;       ///< dirpath in its state
  std::map<std::string, Fingerprint> earlier_files_;
  std::int64_t first_step_ = 0;
  double last_time_ = 0;
};

}  // namespace polyphony::callbacks
