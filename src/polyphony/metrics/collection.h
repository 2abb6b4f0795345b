#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/metrics/metric.h>
#include <polyphony/metrics/state.h>

namespace at {
class Tensor;
}

namespace polyphony::metrics {

/// What a value over an epoch is.
enum class Logging {
  kEpoch,      ///< the metric over all rows
  kBatchMean,  ///< the mean of its values over batches, by their rows: what Lightning logs where a
               ///< module logs the value of each batch
};

/// Metrics from YAML: a list, named as TorchMetrics' classes, or a mapping with names of one's own.
struct MetricList {
  config::Node node;
};
inline bool read(const config::Node& node, MetricList& value) {
  value.node = node;
  return node.is_list() || node.is_map();
}
inline std::string show(const MetricList&) { return "[]"; }
inline const char* type_name(const MetricList&) { return "list[Metric] or dict[str, Metric]"; }

struct MetricCollectionOptions {
  MetricList metrics;
  std::optional<std::string> prefix;
  std::optional<std::string> postfix;
  Logging logging = Logging::kEpoch;

  void describe(config::Fields& f);
};

using NamedMetric = std::pair<std::string, std::shared_ptr<const Metric>>;
using NamedValues = std::vector<std::pair<std::string, Value>>;

/// Metrics of the same rows, and what they have counted. Metrics that count the same share it. One
/// metric alone is a collection of one.
class MetricCollection {
 public:
  static constexpr const char* kKind = "MetricCollection";
  using Options = MetricCollectionOptions;

  explicit MetricCollection(const Options& options);
  /// @throws ConfigError if two have one name
  explicit MetricCollection(std::vector<NamedMetric> metrics, Logging logging = Logging::kEpoch);
  /// Named as TorchMetrics' classes.
  explicit MetricCollection(std::vector<std::shared_ptr<const Metric>> metrics,
                            Logging logging = Logging::kEpoch);

  /// The same metrics under another prefix (and postfix), with nothing counted: one for each stage.
  MetricCollection clone(const std::string& prefix,
                         const std::optional<std::string>& postfix = std::nullopt) const;

  /// Counts a batch. @throws DataError naming the row and the label that are out of range
  void update(const at::Tensor& preds, const at::Tensor& target);
  /// Counts a batch and answers for it alone.
  NamedValues forward(const at::Tensor& preds, const at::Tensor& target);
  /// What the metrics make of the state: each under prefix + name + postfix.
  NamedValues compute() const { return compute(state_); }
  /// Of another state, e.g. the one over all processes.
  NamedValues compute(const State& state) const;
  void reset();

  const State& state() const { return state_; }
  /// @throws DataError if the state is of other metrics
  void load_state(State state);
  /// Adds what another process or part counted. @throws DataError as above
  void merge(const State& state);
  /// The state over all processes; this one stays as it is.
  State synced(const Exchange& exchange) const;

 private:
  struct Member {
    std::string name;
    std::shared_ptr<const Metric> metric;
    std::size_t group;  // index of its accumulator
  };
  struct Group {
    std::shared_ptr<const Accumulator> accumulator;
    std::size_t at;  // its first sum
  };

  void add(const std::string& name, std::shared_ptr<const Metric> metric);
  void finish();
  void check(const State& state) const;
  void count(const at::Tensor& preds, const at::Tensor& target, State& state) const;
  View view(const State& counts, const Group& group) const;
  NamedValues answers(const State& counts) const;
  NamedValues count_mean(const at::Tensor& preds, const at::Tensor& target);
  NamedValues means(const State& state) const;
  void clear(State& state) const;

  std::vector<Member> members_;
  std::vector<Group> groups_;
  std::size_t sums_ = 0;
  bool keeps_rows_ = false;
  std::string prefix_;
  std::string postfix_;
  Logging logging_ = Logging::kEpoch;
  State state_;
  State batch_;         // counts of one batch, for `forward` and batch means
  NamedValues blanks_;  // with batch means: names and shapes of the values
};

/// Values as they are logged: one number each; NAME_0, NAME_1, … if a metric gives several.
std::vector<std::pair<std::string, double>> scalars(const NamedValues& values);

}  // namespace polyphony::metrics

template <>
struct polyphony::config::EnumNames<polyphony::metrics::Logging> {
  static constexpr std::pair<const char*, polyphony::metrics::Logging> kTable[] = {
      {"epoch", polyphony::metrics::Logging::kEpoch},
      {"batch_mean", polyphony::metrics::Logging::kBatchMean}};
};
