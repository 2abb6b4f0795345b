#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/dist/collective.h>
#include <polyphony/tensor/value.h>
#include <polyphony/train/log_options.h>

namespace polyphony::train {

/// What the hooks of a loop have logged: each value of a step, and the epoch's accumulated one.
class Results {
 public:
  /// @param training  whether step-wise values reach callbacks
  explicit Results(bool training) : training_(training) {}

  struct Logged {
    double value;
    double newest;  ///< what on_step shows of it: the value, or that of all processes together
    double weight;  ///< rows that the value stands for; 0: it is not accumulated
  };
  /// @param hook  who logs, e.g. "training_step"; the same name in two hooks is two values
  /// @param options  on_step and on_epoch are said
  /// @throws std::logic_error if a hook logs a name with other options than before
  void add(std::string_view hook, std::string_view name, const LogOptions& options,
           const Logged& logged);

  /// One logged value under its names.
  struct View {
    const std::string& name;    ///< as logged
    const std::string& forked;  ///< with `_step` or `_epoch`, if both are logged
    double value;
    bool logger;
    bool prog_bar;
    bool callback;
  };
  /// The values of the step, or those of the epoch, in the order of their first logging.
  void visit(bool on_step, const std::function<void(const View&)>& visitor);
  /// Reduces the epoch's values over all processes, once; those with sync_dist. A process without a
  /// row in the epoch has logged nothing, and takes part with values that change nothing.
  void synchronize(dist::Collective& collective);
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

  Entry& entry(std::string_view hook, std::string_view name, const LogOptions& options);
  static double epoch_value(const Entry& entry);
  static void clear(Entry& entry);

  bool training_;
  bool synchronized_ = false;  ///< nothing to reduce since
  std::vector<Entry> entries_;
};

}  // namespace polyphony::train
