#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/record/run_index.h>

namespace polyphony::record {

/// Which runs: `test_acc > 0.7 and optimizer.lr <= 1e-3 and not tag = draft`.
///
///     any   := all ("or" all)*          all := one (("and" | ",") one)*
///     one   := "not" one | "(" any ")" | FIELD [OP VALUE]
///     OP    := "=" "==" "!=" "<" "<=" ">" ">=" "~" (contains) "!~"
///
/// FIELD and VALUE are words or in quotes. Two numbers compare as numbers, all else as text. FIELD
/// alone asks whether the run has it. A run without the field matches only "!=" and "!~".
class RunFilter {
 public:
  /// An empty text matches every run.
  /// @throws UsageError with the column where it cannot be read
  explicit RunFilter(std::string_view text);
  ~RunFilter();
  RunFilter(RunFilter&&) noexcept;

  bool matches(const RunIndex& index, const IndexedRun& run) const;
  /// @throws UsageError for a field that no run has, naming the nearest
  void check_fields(const RunIndex& index) const;

  struct Term;

 private:
  std::unique_ptr<Term> root_;
};

struct RunOrder {
  std::string field = "id";
  bool descending = true;
};
/// "test_acc" or "test_acc:desc" (":asc"). @throws UsageError for another ending
RunOrder parse_order(const std::string& text);

/// The runs that match, in order; numbers before texts, runs without the field last.
std::vector<const IndexedRun*> select_runs(const RunIndex& index, const RunFilter& filter,
                                           const RunOrder& order);

}  // namespace polyphony::record
