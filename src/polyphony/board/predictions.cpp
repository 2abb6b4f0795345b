#include <polyphony/board/predictions.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/npy.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/corpus/manifest.h>

namespace polyphony::board {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPrediction = "prediction";

/// The dataset's part of a run's configuration.
class DatasetConfig {
 public:
  explicit DatasetConfig(const std::vector<record::ConfigValue>& values) {
    for (const record::ConfigValue& value : values) all_[value.key] = value.value;
    for (const auto& [key, value] : all_) {
      if (key == "manifest" || key.ends_with(".manifest")) {
        prefix_ = key.substr(0, key.size() - std::string_view("manifest").size());
        break;
      }
    }
  }
  std::string text(const std::string& key, const std::string& otherwise = {}) const {
    const auto found = all_.find(prefix_ + key);
    return found == all_.end() ? otherwise : found->second;
  }
  std::string of_whole(const std::string& key) const {
    const auto found = all_.find(key);
    return found == all_.end() ? "" : found->second;
  }
  std::vector<std::string> classes() const {
    std::vector<std::string> names;
    for (int i = 0;; ++i) {
      const auto found = all_.find(fmt::format("{}classes.{}", prefix_, i));
      if (found == all_.end()) return names;
      names.push_back(found->second);
    }
  }

 private:
  std::map<std::string, std::string> all_;
  std::string prefix_;
};

fs::path folder_of(const record::Run& run) { return run.directory / "predictions"; }

/// Where the run was started, by Hydra's own record; "" where that is not there.
fs::path started_in(const record::Run& run) {
  try {
    const config::Node hydra = config::load_yaml(run.directory / ".hydra/hydra.yaml");
    const config::Node* cwd = hydra.select("hydra.runtime.cwd");
    if (cwd != nullptr && cwd->is_string()) return cwd->as_string();
  } catch (const Error&) {
    // An imported run has none: paths are then relative to this process.
  }
  return {};
}

fs::path manifest_of(const record::Run& run, const DatasetConfig& config, const std::string& set) {
  std::string path = config.text("manifest");
  if (path.empty()) return {};
  constexpr std::string_view kSplit = "{split}";
  if (const std::size_t at = path.find(kSplit); at != std::string::npos) {
    const std::string split =
        config.of_whole(set == "predictions" ? "split.predict" : "split." + set);
    path.replace(at, kSplit.size(), split.empty() ? set : split);
  }
  const fs::path there = started_in(run) / path;
  std::error_code error;
  return fs::exists(there, error) ? there : fs::path(path);
}

std::optional<std::size_t> column_of(const CsvTable& table, const std::string& name) {
  const auto found = std::find(table.header.begin(), table.header.end(), name);
  if (found == table.header.end()) return std::nullopt;
  return static_cast<std::size_t>(found - table.header.begin());
}

/// The class of a cell; one that the configuration does not name is added at the end.
int class_of(const std::string& cell, std::vector<std::string>& classes) {
  if (corpus::blank(cell)) return -1;
  const auto label = corpus::label_of(cell, classes);
  const auto known = static_cast<std::int64_t>(classes.size());
  if (label && *label >= 0 && *label < known) return static_cast<int>(*label);
  classes.push_back(cell);
  return static_cast<int>(known);
}

/// Probability of the largest logit, row by row; empty where the logits do not fit the rows.
std::vector<double> confidences(const fs::path& path, std::size_t rows) {
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  const NpyArray logits = load_npy(path);
  if (logits.shape.size() != 2 || static_cast<std::size_t>(logits.shape[0]) != rows) return {};
  const auto width = static_cast<std::size_t>(logits.shape[1]);
  std::vector<double> result;
  for (std::size_t row = 0; width > 0 && row < rows; ++row) {
    const float* begin = logits.values.data() + row * width;
    const float top = *std::max_element(begin, begin + width);
    double sum = 0;
    for (std::size_t i = 0; i < width; ++i) sum += std::exp(static_cast<double>(begin[i] - top));
    result.push_back(1 / sum);
  }
  return result;
}

/// What a file is by its first bytes; "" where it is no recording that a browser plays.
std::string audio_type(const fs::path& path) {
  std::array<char, 12> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), head.size());
  const std::string_view bytes(head.data(), static_cast<std::size_t>(file.gcount()));
  if (bytes.starts_with("RIFF") && bytes.substr(8) == "WAVE") return "audio/wav";
  if (bytes.starts_with("OggS")) return "audio/ogg";
  if (bytes.starts_with("fLaC")) return "audio/flac";
  const bool frame = bytes.size() > 1 && bytes[0] == '\xff' && (bytes[1] & 0xe0) == 0xe0;
  if (bytes.starts_with("ID3") || frame) return "audio/mpeg";
  return {};
}

}  // namespace

std::vector<std::vector<std::int64_t>> PredictionSet::confusion() const {
  std::vector<std::vector<std::int64_t>> counts(classes.size(),
                                                std::vector<std::int64_t>(classes.size()));
  for (const PredictedItem& item : items) {
    if (item.label < 0 || item.prediction < 0) continue;
    ++counts[static_cast<std::size_t>(item.label)][static_cast<std::size_t>(item.prediction)];
  }
  return counts;
}

std::vector<std::string> prediction_sets(const record::Run& run) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_of(run), error)) {
    if (entry.path().extension() == ".csv") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

PredictionSet read_predictions(const record::Run& run,
                               const std::vector<record::ConfigValue>& config,
                               const std::string& name) {
  const auto sets = prediction_sets(run);
  if (std::find(sets.begin(), sets.end(), name) == sets.end()) {
    throw UsageError(fmt::format("run {} has no predictions of `{}`", run.id, name),
                     sets.empty() ? "it has predicted nothing yet, or its directory is gone"
                                  : fmt::format("it has {}", fmt::join(sets, ", ")));
  }
  const DatasetConfig dataset(config);
  const fs::path base = folder_of(run) / name;
  const CsvTable table = read_csv(base.string() + ".csv");
  const auto predicted = column_of(table, kPrediction);
  if (!predicted) {
    throw DataError(fmt::format("{}.csv: no column `{}`", base.string(), kPrediction),
                    "`polyphony predict` writes it anew");
  }
  const auto label = column_of(table, dataset.text("label_column", "label"));
  const auto text = column_of(table, dataset.text("text_column", "text"));
  const std::string path_column = dataset.text("path_column", "audio_path");
  const auto path = column_of(table, path_column);
  const std::vector<double> sure = confidences(base.string() + ".npy", table.rows.size());
  PredictionSet set{name, dataset.classes(), {}, path_column, manifest_of(run, dataset, name)};
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const auto& row = table.rows[i];
    PredictedItem item;
    item.row = i;
    if (text) item.text = row[*text];
    if (path) item.audio = row[*path];
    if (label) item.label = class_of(row[*label], set.classes);
    item.prediction = class_of(row[*predicted], set.classes);
    item.confidence = i < sure.size() ? sure[i] : std::numeric_limits<double>::quiet_NaN();
    set.items.push_back(std::move(item));
  }
  return set;
}

std::vector<ClassScores> class_scores(const std::vector<std::vector<std::int64_t>>& confusion) {
  std::vector<ClassScores> scores(confusion.size());
  for (std::size_t c = 0; c < confusion.size(); ++c) {
    std::int64_t predicted = 0;
    for (std::size_t other = 0; other < confusion.size(); ++other) {
      scores[c].support += confusion[c][other];
      predicted += confusion[other][c];
    }
    const auto hits = static_cast<double>(confusion[c][c]);
    const auto share = [hits](std::int64_t of) {
      return of == 0 ? 0.0 : hits / static_cast<double>(of);
    };
    scores[c].precision = share(predicted);
    scores[c].recall = share(scores[c].support);
    const double both = scores[c].precision + scores[c].recall;
    scores[c].f1 = both == 0 ? 0 : 2 * scores[c].precision * scores[c].recall / both;
  }
  return scores;
}

AudioFile audio_of(const PredictionSet& set, std::size_t row) {
  if (row >= set.items.size()) {
    throw UsageError(fmt::format("row {}: `{}` has {}", row, set.name, set.items.size()));
  }
  const std::string& cell = set.items[row].audio;
  if (cell.empty() || set.manifest.empty()) {
    throw DataError(fmt::format("row {} has no recording", row));
  }
  const fs::path folder = set.manifest.parent_path();
  const fs::path wanted = fs::absolute(folder / cell).lexically_normal();
  // The cell comes from the run's directory; only what the manifest itself names is handed out.
  corpus::ManifestColumns columns;
  columns.path = set.path_column;
  const corpus::Manifest manifest = corpus::read_manifest(set.manifest, columns);
  const bool named = std::any_of(
      manifest.rows.begin(), manifest.rows.end(), [&](const corpus::ManifestRow& known) {
        return fs::absolute(known.audio_path).lexically_normal() == wanted;
      });
  if (!named) throw DataError(fmt::format("row {}: the manifest names no such recording", row));
  std::error_code error;
  const std::string type = fs::is_regular_file(wanted, error) ? audio_type(wanted) : "";
  if (type.empty()) throw DataError(fmt::format("row {}: no recording that can be played", row));
  return {wanted, type};
}

}  // namespace polyphony::board
