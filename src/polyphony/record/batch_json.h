#pragma once

#include <optional>
#include <string>

#include <polyphony/record/store_batch.h>

namespace polyphony::record {

/// A run, as a line of a journal has it. @param started  seconds since 1970
std::string run_line(const RunInfo& info, double started);
std::string batch_line(const StoreBatch& batch);

struct JournalLine {
  std::optional<RunInfo> run;
  double started = 0;
  std::optional<StoreBatch> batch;
};
/// nullopt for a line that is neither.
std::optional<JournalLine> parse_journal_line(const std::string& line);

}  // namespace polyphony::record
