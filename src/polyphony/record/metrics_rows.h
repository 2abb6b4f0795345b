#pragma once

#include <cstdint>
#include <filesystem>

namespace polyphony::record {

/// Keeps the first `rows` rows of a run's metrics.csv, and of fewer all that are whole; the file is
/// written anew, whole or not at all, and what it was stands beside it as `PATH.before-resume`.
/// Does nothing where there is no file.
/// @return values in the rows that are kept
std::int64_t keep_metrics_rows(const std::filesystem::path& path, std::int64_t rows);

}  // namespace polyphony::record
