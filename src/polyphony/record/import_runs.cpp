#include <polyphony/record/import_runs.h>

#include <algorithm>
#include <array>
#include <map>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/record/store_database.h>

namespace polyphony::record {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::pair<const char*, RecordKind>, 3> kKinds = {
    {{"tensorboard", RecordKind::kTensorBoard},
     {"csv", RecordKind::kCsv},
     {"wandb", RecordKind::kWandb}}};

/// By the name of a file; of tables only those that CSVLogger names, unless `named` by the user.
std::optional<RecordKind> kind_of(const fs::path& file, bool named) {
  const std::string name = file.filename().string();
  if (file.extension() == ".wandb") return RecordKind::kWandb;
  if (name.find("tfevents") != std::string::npos) return RecordKind::kTensorBoard;
  if (name == "metrics.csv" || (named && file.extension() == ".csv")) return RecordKind::kCsv;
  return std::nullopt;
}

/// The first kind is taken where a folder has several.
int rank(RecordKind kind) {
  return kind == RecordKind::kWandb ? 0 : kind == RecordKind::kTensorBoard ? 1 : 2;
}

bool is_in(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

/// Where a record lies: the event files of a folder are one run.
fs::path place_of(RecordKind kind, const fs::path& file) {
  return kind == RecordKind::kTensorBoard ? file.parent_path() : file;
}

}  // namespace

const char* to_string(RecordKind kind) { return kKinds.at(static_cast<std::size_t>(kind)).first; }

std::optional<RecordKind> parse_record_kind(const std::string& name) {
  for (const auto& [text, kind] : kKinds) {
    if (name == text) return kind;
  }
  return std::nullopt;
}

std::vector<FoundRecord> find_records(const fs::path& path, std::optional<RecordKind> only) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw IoError(fmt::format("{}: not there", path.string()),
                  "name an event file, a metrics.csv, a run-ID.wandb, or a folder that has some");
  }
  if (!fs::is_directory(path, error)) {
    const auto kind = only ? only : kind_of(path, true);
    if (kind) return {{*kind, path}};
  }
  std::map<fs::path, FoundRecord> by_folder;
  for (const auto& entry : fs::recursive_directory_iterator(
           path, fs::directory_options::skip_permission_denied, error)) {
    if (!entry.is_regular_file(error)) continue;
    const auto kind = kind_of(entry.path(), false);
    if (!kind || (only && *kind != *only)) continue;
    const FoundRecord record{*kind, place_of(*kind, entry.path())};
    const auto [known, added] = by_folder.try_emplace(entry.path().parent_path(), record);
    if (!added && rank(*kind) < rank(known->second.kind)) known->second = record;
  }
  if (by_folder.empty()) {
    throw DataError(fmt::format("{}: no record of a run", path.string()),
                    "known are TensorBoard's event files (*tfevents*), a metrics.csv as CSVLogger "
                    "writes it, and W&B's run-ID.wandb; --kind says what another file is");
  }
  std::vector<FoundRecord> records;
  for (auto& [folder, record] : by_folder) records.push_back(std::move(record));
  return records;
}

ImportedRun read_record(const FoundRecord& record) {
  const auto read = record.kind == RecordKind::kTensorBoard ? read_tensorboard
                    : record.kind == RecordKind::kWandb     ? read_wandb
                                                            : read_csv_log;
  ImportedRun run = read(record.path);
  run.info.directory = run.info.directory.lexically_normal();  // it tells what was imported before
  return run;
}

std::optional<std::int64_t> imported_before(const Store& store, const ImportedRun& run) {
  const fs::path file = fs::absolute(store.path()).lexically_normal();
  for (const Run& known : store.runs()) {
    if (known.source == run.info.source && known.directory == run.info.directory) return known.id;
    // What a run of this program and its loggers left in its directory. One that has the store in
    // it (hydra.run.dir=.) is no run's own.
    if (known.source != "polyphony" || known.directory.empty()) continue;
    const fs::path own = fs::absolute(known.directory).lexically_normal();
    if (is_in(run.info.directory, own) && !is_in(file, own)) return known.id;
  }
  return std::nullopt;
}

std::int64_t store_imported(Store& store, const ImportedRun& run) {
  std::int64_t id = 0;
  store.database().transaction([&] {
    id = store.begin(run.info);
    store.log(id, run.metrics);
    store.log_system(id, run.system);
    store.log_console(id, run.console);
    for (const Alert& alert : run.alerts) store.log_alert(id, alert);
    // One that never said its end is over all the same: nobody writes to it here.
    const State state = run.state == State::kRunning ? State::kInterrupted : run.state;
    store.finish(id, state, "", run.truncated ? "its record breaks off" : to_string(state));
    double started = run.started, ended = run.ended.value_or(0);
    for (const Metric& metric : run.metrics) {
      if (metric.wall_time <= 0) continue;
      if (started <= 0 || (run.started <= 0 && metric.wall_time < started))
        started = metric.wall_time;
      if (!run.ended) ended = std::max(ended, metric.wall_time);
    }
    if (started > 0) {
      store.set_times(id, started, ended >= started ? std::optional(ended) : std::nullopt);
    }
  });
  return id;
}

}  // namespace polyphony::record
