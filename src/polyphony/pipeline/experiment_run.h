#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/base/signals.h>
#include <polyphony/data/loader.h>
#include <polyphony/pipeline/embed.h>
#include <polyphony/pipeline/entry.h>
#include <polyphony/pipeline/options.h>
#include <polyphony/pipeline/recording.h>
#include <polyphony/pipeline/resume_guard.h>
#include <polyphony/pipeline/row_labels.h>
#include <polyphony/train/trainer.h>

namespace polyphony::pipeline {

class ExperimentRun;

/// The loops of a run.
struct Loops {
  train::TrainerOptions options;
  std::vector<std::unique_ptr<train::Callback>> callbacks;  ///< beside the configured ones
};

/// What a verb makes of its configuration: task, rows and loops, and what is done with them.
class Experiment {
 public:
  virtual ~Experiment() = default;
  virtual RunOptions& options() = 0;

  /// Builds the task; the generator that it draws its weights from is seeded.
  virtual std::unique_ptr<train::Task> task() = 0;
  /// Builds the rows of a split.
  virtual std::unique_ptr<data::Dataset> rows(const std::string& split) const = 0;
  /// Completes how rows are loaded: order, seed and this process's part are given.
  virtual void load(data::LoaderOptions& loading, train::Stage stage) const = 0;
  /// @param batches  of an epoch
  virtual Loops loops(std::int64_t /*batches*/) { return {options().trainer, {}}; }
  /// How long a training may take, as far as the data do not say.
  virtual train::TrainerOptions limits() { return options().trainer; }

  /// The section of the configuration that the rows are built from.
  virtual const config::Node& dataset() const = 0;
  /// What every checkpoint keeps of the configuration.
  virtual const config::Node& hyper_parameters() const = 0;
  /// The option that a user names a checkpoint by.
  virtual const char* resume_key() const { return "ckpt_path"; }

  virtual void run(ExperimentRun& run) = 0;
};

/// Builds what a verb makes of its configuration. @param config  resolved; what is changed in it is
/// recorded so
using MakeExperiment =
    std::function<std::unique_ptr<Experiment>(const Request&, config::Node& config)>;

/// Runs an experiment in as many processes as it asks for, and records it. A run that goes on in
/// its own directory goes on from its checkpoint.
/// @throws Error; the run is recorded as failed or interrupted before the error leaves
void run_recorded(const Request& request, const MakeExperiment& make);

/// One experiment in one of its processes: its parts, and what a verb can do with them.
class ExperimentRun {
 public:
  ExperimentRun(Experiment& experiment, Recording& recording,
                std::unique_ptr<train::Strategy> strategy, std::unique_ptr<ResumeGuard> guard);

  /// The rows of a split, those of frozen encoders from the cache of embeddings. Built once a
  /// split, so that what they have decoded serves training, test and prediction alike.
  const data::Dataset& rows(const std::string& split);
  void load_weights(const std::filesystem::path& path);

  enum class Validation { kOn, kOff };
  /// Trains, with the original's alerts. @param resume  the checkpoint to go on from; empty: begin
  /// anew  @param validation  whether the rows of `val` are evaluated
  /// @throws DataError for rows without labels, or of one class
  void fit(const std::string& train, const std::string& val, const std::filesystem::path& resume,
           Validation validation = Validation::kOn);
  /// Ends a run that was stopped after its training. @param kept  the checkpoint it has left; may
  /// be empty  @param how_to_go_on  up to the option that names it  @throws Interrupted
  [[noreturn]] void leave_untested(const Interrupted& stop, const std::filesystem::path& kept,
                                   const std::string& how_to_keep,
                                   const std::string& how_to_go_on) const;
  /// These print the metrics.
  void validate(const std::string& split);
  void test(const std::string& split);
  /// Logits in dataset order: float [rows, classes].
  at::Tensor predict(const std::string& split);
  /// Labels of the rows that were predicted last, as RowLabels gives them.
  std::vector<std::int64_t> predicted_labels() { return labels_->gather(collective_); }

  train::Task& task() { return *task_; }
  train::Trainer& trainer() { return trainer_ ? *trainer_ : make_trainer(1); }
  Recording& recording() { return recording_; }

 private:
  train::Trainer& make_trainer(std::int64_t batches);
  data::LoaderOptions loading(train::Stage stage) const;

  Experiment& experiment_;
  RunOptions& options_;
  Recording& recording_;
  dist::Collective& collective_;
  ResumeGuard& guard_;                                           ///< the trainer's
  RowLabels* labels_ = nullptr;                                  ///< the trainer's
  train::TrainerParts parts_;                                    ///< until the trainer takes them
  std::vector<std::unique_ptr<train::Callback>> own_callbacks_;  ///< likewise
  std::optional<train::Trainer> trainer_;
  std::unique_ptr<train::Task> task_;
  std::optional<Embedder> embedder_;                            ///< where encoders are frozen
  std::map<std::string, std::unique_ptr<data::Dataset>> rows_;  ///< by split
};

}  // namespace polyphony::pipeline
