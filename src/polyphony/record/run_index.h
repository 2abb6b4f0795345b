#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <polyphony/record/store.h>

namespace polyphony::record {

/// What a field of a run holds: a number, or a text.
using FieldValue = std::variant<double, std::string>;

/// A number as short as it can be without losing a bit; a text as it is.
std::string field_text(const FieldValue& value);

/// A metric over a run; NaN where it has no number.
struct MetricValues {
  double last = 0, min = 0, max = 0;
};

/// A run with what a table of runs shows of it. `run` is without its configuration's text.
struct IndexedRun {
  Run run;
  std::map<std::string, MetricValues> metrics;
};

/// All runs of a store in memory, for listing, filtering and sorting thousands of them.
/// An object belongs to one thread at a time.
class RunIndex {
 public:
  /// Reads everything. @throws IoError as Store
  explicit RunIndex(const std::filesystem::path& path);
  ~RunIndex();
  RunIndex(RunIndex&&) noexcept;

  /// Reads what was written since; costs next to nothing where nothing was.
  /// @return the runs that began, ended, were changed or removed, or have new values
  std::vector<std::int64_t> refresh();

  /// By id, ascending.
  const std::map<std::int64_t, IndexedRun>& runs() const;
  std::vector<std::string> metric_names() const;
  std::vector<std::string> config_keys() const;

  /// A field by name: one of own_fields(), else a metric's last value, else a configuration key.
  /// "metric.NAME", "min.NAME", "max.NAME" and "config.KEY" say which. Times are as iso_time()
  /// writes them; a run's tags are one text with commas between. nullopt where the run has no such
  /// field.
  std::optional<FieldValue> field(const IndexedRun& run, std::string_view name) const;
  /// @throws UsageError for a field that no run has, naming the nearest; never where there is no
  /// run
  void check_field(const std::string& name) const;

  const Store& store() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The fields that every run may have.
const std::vector<std::string>& own_fields();

}  // namespace polyphony::record
