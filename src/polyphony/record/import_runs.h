#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/record/import.h>
#include <polyphony/record/store.h>

namespace polyphony::record {

enum class RecordKind { kTensorBoard, kCsv, kWandb };

/// "tensorboard", "csv", "wandb".
const char* to_string(RecordKind kind);
std::optional<RecordKind> parse_record_kind(const std::string& name);

/// A record of a run that was made by another program.
struct FoundRecord {
  RecordKind kind = RecordKind::kCsv;
  std::filesystem::path path;
};

/// What a path holds: a record itself, or all records in the folders below it, in order of their
/// names. A folder that has several kinds is one run: W&B's is taken before TensorBoard's before
/// CSV.
/// @param only  of this kind alone
/// @throws IoError where the path is not there; DataError where it holds no record
std::vector<FoundRecord> find_records(const std::filesystem::path& path,
                                      std::optional<RecordKind> only = std::nullopt);

/// @throws IoError, DataError as the reader of the kind
ImportedRun read_record(const FoundRecord& record);

/// The run that was imported from the same record before, or in whose directory the record lies;
/// nullopt where there is none.
std::optional<std::int64_t> imported_before(const Store& store, const ImportedRun& run);

/// Puts a run into the store, whole or not at all. @return its id
std::int64_t store_imported(Store& store, const ImportedRun& run);

}  // namespace polyphony::record
