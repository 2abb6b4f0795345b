#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/tensor/value.h>
#include <polyphony/train/stage.h>

namespace polyphony::train {

/// How the values of an epoch become one.
enum class ReduceFx { kMean, kSum, kMin, kMax };

/// LightningModule.log's options.
struct LogOptions {
  std::optional<bool> on_step;   ///< log each value; null: in training steps only
  std::optional<bool> on_epoch;  ///< log the epoch's value; null: outside training steps
  bool prog_bar = false;         ///< show it in the progress bar
  bool logger = true;            ///< give it to the loggers
  bool sync_dist = false;        ///< reduce over all processes
  bool rank_zero_only = false;   ///< only rank 0 logs it
  ReduceFx reduce_fx = ReduceFx::kMean;
  std::int64_t batch_size = 0;  ///< weight in a mean; 0: the batch's rows

  bool operator==(const LogOptions&) const = default;
};

/// Sums, minima or maxima over all processes, in place.
using Reduce = std::function<void(std::span<double>, ReduceFx)>;
/// Rank 0's text.
using FromRankZero = std::function<std::string(std::string)>;

/// What the hooks of a loop have logged: each value of a step, and the epoch's accumulated one.
class Results {
 public:
  /// @param training  whether step-wise values reach callbacks
  explicit Results(bool training) : training_(training) {}

  /// @param hook  who logs, e.g. "training_step"; the same name in two hooks is two values
  /// @param newest  what on_step shows of it: the value, or that of all processes together
  /// @param weight  rows that the value stands for; 0: it is not accumulated
  /// @throws std::logic_error where a hook logs a name with other options than before
  void log(const char* hook, std::string_view name, double value, double newest, LogOptions options,
           double weight);

  /// One logged value under its names.
  struct View {
    const std::string& name;    ///< as logged
    const std::string& forked;  ///< with `_step` or `_epoch`, where both are logged
    double value;
    bool logger;
    bool prog_bar;
    bool callback;
  };
  /// The values of the step, or those of the epoch, in the order of their first logging.
  void visit(bool on_step, const std::function<void(const View&)>& visitor);
  /// Reduces the epoch's values over all processes, once; those with sync_dist. A process without a
  /// row in the epoch has logged nothing, and takes part with values that change nothing.
  void synchronize(const Reduce& reduce, const FromRankZero& broadcast);
  void reset();

  /// Everything accumulated, for an exact resume.
  tensor::Value state() const;
  void load_state(const tensor::Value& state);
  /// Adds what another process has accumulated, but what is reduced over all already.
  void merge(const tensor::Value& other);
  /// Forgets what is accumulated, but what is reduced already.
  void forget_counts();

 private:
  struct Entry {
    std::string hook;
    std::string name;
    std::string step_name;
    std::string epoch_name;
    LogOptions options;
    double last = 0;    ///< the newest value
    double value = 0;   ///< accumulated
    double weight = 0;  ///< accumulated, of a mean
    bool fresh = true;  ///< nothing since the last reset
    bool reduced = false;
  };

  Entry& entry(const char* hook, std::string_view name, const LogOptions& options);
  std::string values_to_reduce() const;
  Entry& entry_to_reduce(std::string_view line);
  static double epoch_value(const Entry& entry);
  static void clear(Entry& entry);

  bool training_;
  bool synchronized_ = false;  ///< nothing to reduce since
  std::vector<Entry> entries_;
};

}  // namespace polyphony::train
