#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <polyphony/train/logger.h>
#include <polyphony/train/loops/results.h>

namespace polyphony::train {

struct HookName;

/// Gathers what hooks log and hands it on: to loggers, to callbacks that monitor it, to the
/// progress bar. When each value goes where is Lightning's.
class MetricLog {
 public:
  /// @param loggers  borrowed, as the other; empty on ranks other than 0
  MetricLog(std::vector<std::unique_ptr<Logger>>& loggers, dist::Collective& collective);

  /// The loop whose hooks log from now on. @return the loop before
  Stage enter(Stage stage);
  /// The hook that logs from now on. @param hook  of the table: it is kept
  void enter(const HookName& hook) { hook_ = &hook; }
  /// Adds a value of the running hook.
  void log(std::string_view name, double value, LogOptions options);

  void on_epoch_start() { epoch_ended_ = false; }
  /// @param rows  of the batch: the weight of its values
  void on_batch_start(double rows);
  void on_batch_end() { take_newest(); }
  /// From here on the values are the epoch's.
  void epoch_end_reached();
  void on_epoch_end() { take_newest(); }
  /// Forgets what the loop logged.
  void reset_results();
  void reset_metrics();

  /// Gives the loop's values to the loggers. @return them
  MetricValues flush(std::int64_t step, std::int64_t epoch);
  /// A row of its own, e.g. of a learning-rate monitor.
  void write(const MetricValues& values, std::int64_t step, std::int64_t epoch);
  void save_loggers();

  /// The newest value of everything logged, for monitors.
  const MetricValues& callback_metrics();
  const MetricValues& logged_metrics() const { return logged_; }
  const MetricValues& progress_bar_metrics() const { return progress_bar_; }

  /// All that a checkpoint keeps, as it was at one moment.
  struct Kept {
    std::vector<Results> train;  ///< one
    MetricValues callback;
    MetricValues logged;
    MetricValues progress_bar;
    double rows = 1;
    std::int64_t written = 0;  ///< rows given to the loggers
  };
  /// @param kept  of before: its memory is used again
  void keep(Kept& kept) const;
  tensor::Value state() const;
  /// The loggers' states say how much they had been given then.
  tensor::Value state_of(const Kept& kept) const;
  void load_state(const tensor::Value& state);
  /// Adds what another process has accumulated. @param other  its state()
  void merge_state(const tensor::Value& other);
  /// Keeps the names and newest values and forgets what is accumulated, but what stands for all
  /// processes already.
  void forget_counts();

 private:
  Results& results() { return results_[static_cast<std::size_t>(stage_)]; }
  void take_newest();

  std::vector<std::unique_ptr<Logger>>& loggers_;
  dist::Collective& collective_;
  std::vector<Results> results_;  ///< a stage
  Stage stage_ = Stage::kTrain;
  const HookName* hook_;
  bool epoch_ended_ = false;
  double rows_ = 1;
  std::int64_t written_ = 0;
  MetricValues callback_;
  MetricValues logged_;
  MetricValues progress_bar_;
};

}  // namespace polyphony::train
