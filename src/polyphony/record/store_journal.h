#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/record/formats/append_file.h>
#include <polyphony/record/store.h>

// What a run could not write into its store, kept in the run's directory until it can: a file of
// lines, one JSON object each. The first says what the run is, every other one is a batch of its
// record. A file that is locked (flock) belongs to a run that is alive and brings it in itself.

namespace polyphony::record {

/// The file that a run writes.
class StoreJournal {
 public:
  /// Makes DIRECTORY/store-pending-UID.jsonl and, where it can, a pointer to it beside the store,
  /// by which the next reader of the store finds it.
  /// @throws IoError where the file cannot be written
  StoreJournal(const std::filesystem::path& store, const RunInfo& info, double started);
  /// @throws IoError; the batch is then not in the file, wholly or in part
  void append(const StoreBatch& batch);
  const std::filesystem::path& path() const { return file_.path(); }
  /// The record is in the store: removes file and pointer.
  void remove();

 private:
  void write(const std::string& line);

  std::filesystem::path store_;
  std::string uid_;
  AppendFile file_;
};

/// What bringing in a journal came to.
struct BroughtIn {
  std::filesystem::path path;
  std::int64_t run = 0;
  std::string name;
  std::int64_t values = 0;   ///< metrics that were new to the store
  std::size_t left_out = 0;  ///< lines torn or damaged
  bool has_gap = false;      ///< what was recorded before went to another store, or is lost
};

/// Writes what a journal holds into a store, each batch once, however often and from wherever it is
/// done; the file stays.
/// @throws IoError where the store cannot be written, DataError where the file says of no run
BroughtIn write_journal(Store& store, const std::filesystem::path& journal);
/// The same for one that no run alive writes; the file is then removed, with its pointer.
/// @return nullopt where a run that is alive holds it, or another process has brought it in
std::optional<BroughtIn> bring_in(Store& store, const std::filesystem::path& journal);

/// The journals that lie in a directory; none where it is not there.
std::vector<std::filesystem::path> find_journals_in(const std::filesystem::path& directory);
/// The journal that a path is, or those that lie in it and below.
std::vector<std::filesystem::path> find_journals(const std::filesystem::path& path);
/// Those that wait for a store, as far as it is known of them: by the pointers beside it, and in
/// the directories of runs that stand in it as running.
std::vector<std::filesystem::path> waiting_journals(const std::filesystem::path& store);
/// Brings these into a store, which is made where it is gone. Never throws: a store that cannot be
/// written, or a damaged journal, is told.
void bring_in_all(const std::filesystem::path& store,
                  const std::vector<std::filesystem::path>& journals);
/// The same for all that wait for the store.
void bring_in_waiting(const std::filesystem::path& store);
/// "run 3 audio: 120 values from RUN/store-pending-….jsonl", and what is missing.
std::string to_string(const BroughtIn& done);

/// 16 hexadecimal digits, of the system's own randomness: no run's seed moves it.
std::string new_run_uid();

}  // namespace polyphony::record
