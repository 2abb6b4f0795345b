#include <polyphony/pipeline/vote.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <optional>

#include <fmt/format.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/notice.h>
#include <polyphony/base/npy.h>
#include <polyphony/base/terminal/table.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/corpus/manifest.h>
#include <polyphony/metrics/counts.h>
#include <polyphony/pipeline/logits.h>
#include <polyphony/pipeline/recording.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;
namespace {

enum class VoteOn { kLogits, kProbabilities };

}  // namespace
}  // namespace polyphony::pipeline

template <>
struct polyphony::config::EnumNames<polyphony::pipeline::VoteOn> {
  static constexpr std::pair<const char*, polyphony::pipeline::VoteOn> kTable[] = {
      {"logits", polyphony::pipeline::VoteOn::kLogits},
      {"probabilities", polyphony::pipeline::VoteOn::kProbabilities}};
};

namespace polyphony::pipeline {
namespace {

struct SearchOptions {
  std::string validation_file;
  config::Named<std::string> logits;
  double step = 0.05;

  void describe(config::Fields& f) {
    f.required("validation_file", validation_file, "CSV with the labels of the validation rows");
    f.required("logits", logits, "NAME: PATH of each voter's logits on the validation rows");
    f("step", step, "distance between the weights tried");
    f.check("step", step > 0 && step <= 0.5, "in (0, 0.5]");
  }
};

struct VoteOptions {
  std::string run_name = "vote";
  config::Named<double> votings;
  std::string connected_dir;
  std::string submission_file;
  std::string target_column_name;
  std::string voted_logit;
  std::string voted_file;
  VoteOn vote_on = VoteOn::kLogits;
  config::Named<std::string> logits;
  std::vector<std::string> classes;
  std::optional<SearchOptions> search;

  void describe(config::Fields& f) {
    f("run_name", run_name, "name in the run store");
    f.required("votings", votings, "NAME: WEIGHT of each voter; the weights sum to 1");
    f("connected_dir", connected_dir, "directory whose logits/ holds NAME.npy");
    f.required("submission_file", submission_file, "CSV whose rows the logits belong to");
    f.required("target_column_name", target_column_name, "column that gets the predicted label");
    f.required("voted_logit", voted_logit, "where the voted logits go (.npy)");
    f.required("voted_file", voted_file, "where the predictions go (.csv)");
    f("vote_on", vote_on, "average logits, as the original does, or softmax probabilities");
    f("logits", logits, "NAME: PATH of voters outside connected_dir");
    f("classes", classes, "class names in label order, where the CSV holds names");
  }
};

/// Rows of a CSV that logits belong to, with the labels that are known (-1 elsewhere).
struct Rows {
  CsvTable table;
  std::vector<std::int64_t> labels;
  std::size_t target = 0;  ///< index of the target column
};

bool has_empty_cell(const std::vector<std::string>& cells) {
  return std::any_of(cells.begin(), cells.end(),
                     [](const std::string& cell) { return cell.empty(); });
}

/// Reads the CSV and fits it to the number of logit rows. Rows with an empty cell are left out
/// where that is what makes the two agree, since the original's datasets drop them.
Rows read_rows(const std::string& path, const VoteOptions& options, std::size_t logit_rows) {
  Rows rows;
  rows.table = read_csv(path);
  CsvTable& table = rows.table;
  if (table.rows.size() != logit_rows) {
    const std::size_t all = table.rows.size();
    std::erase_if(table.rows, has_empty_cell);
    if (table.rows.size() != logit_rows) {
      throw DataError(fmt::format("{}: {} rows, but the logits have {}", path, all, logit_rows),
                      "give the CSV that the logits were predicted for");
    }
    note("{}: {} rows with an empty cell left out, as the logits leave them out", path,
         all - table.rows.size());
  }
  const auto found =
      std::find(table.header.begin(), table.header.end(), options.target_column_name);
  rows.target = static_cast<std::size_t>(found - table.header.begin());
  if (found == table.header.end()) {
    rows.labels.assign(logit_rows, -1);
    table.header.push_back(options.target_column_name);
    for (auto& cells : table.rows) cells.emplace_back();
    return rows;
  }
  for (const auto& cells : table.rows) {
    rows.labels.push_back(corpus::label_of(cells[rows.target], options.classes).value_or(-1));
  }
  return rows;
}

NpyArray load_logits(const std::string& path, const std::string& name) {
  if (!fs::exists(path)) {
    throw DataError(fmt::format("votings.{}: the logits {} do not exist", name, path),
                    "run `polyphony predict` for this model first, or mend the path");
  }
  NpyArray logits = load_npy(path);
  if (logits.shape.size() != 2 || logits.shape[1] < 2) {
    throw DataError(fmt::format("{}: logits must be rows x classes", path),
                    "give a file that `polyphony predict` wrote");
  }
  for (std::size_t i = 0; i < logits.values.size(); ++i) {
    if (std::isfinite(logits.values[i])) continue;
    throw DataError(fmt::format("{}: row {} is not finite", path,
                                static_cast<std::int64_t>(i) / logits.shape[1]),
                    "look at this row's prediction");
  }
  return logits;
}

/// All voters' logits (or probabilities), of one shape.
std::vector<NpyArray> load_voters(const config::Named<std::string>& paths, VoteOn vote_on) {
  std::vector<NpyArray> voters;
  for (const auto& [name, path] : paths) {
    voters.push_back(load_logits(path, name));
    if (voters.back().shape != voters.front().shape) {
      throw DataError(
          fmt::format("{}: shape [{}], but {} has [{}]", path, fmt::join(voters.back().shape, ", "),
                      paths.front().second, fmt::join(voters.front().shape, ", ")),
          "vote over logits of the same rows and classes");
    }
    if (vote_on == VoteOn::kProbabilities) {
      softmax_rows(std::span(voters.back().values),
                   static_cast<std::size_t>(voters.back().shape[1]));
    }
  }
  return voters;
}

NpyArray weighted_sum(const std::vector<NpyArray>& voters, const std::vector<double>& weights) {
  NpyArray sum = voters.front();
  for (std::size_t i = 0; i < sum.values.size(); ++i) {
    double value = 0;
    for (std::size_t v = 0; v < voters.size(); ++v) {
      value += weights[v] * static_cast<double>(voters[v].values[i]);
    }
    sum.values[i] = static_cast<float>(value);
  }
  return sum;
}

std::vector<std::int64_t> argmax_rows(const NpyArray& logits) {
  std::vector<std::int64_t> predictions;
  const auto classes = static_cast<std::size_t>(logits.shape[1]);
  for (std::size_t begin = 0; begin < logits.values.size(); begin += classes) {
    const auto row = std::span(logits.values).subspan(begin, classes);
    predictions.push_back(std::max_element(row.begin(), row.end()) - row.begin());
  }
  return predictions;
}

/// Confusion counts [classes x classes] (rows: truth) of the rows whose label is known.
std::vector<std::int64_t> confusion(const std::vector<std::int64_t>& predictions,
                                    const std::vector<std::int64_t>& labels, std::int64_t classes) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(classes * classes));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0) continue;
    if (labels[i] >= classes) {
      throw DataError(fmt::format("label {} of row {} is out of range: the logits have {} classes",
                                  labels[i], i + 1, classes),
                      "mend the label or the target_column_name");
    }
    ++counts[static_cast<std::size_t>(labels[i] * classes + predictions[i])];
  }
  return counts;
}

double macro_f1(const std::vector<std::int64_t>& counts) {
  return metrics::averaged(metrics::per_class(counts),
                           {metrics::Average::kMacro, metrics::Absent::kSkip}, metrics::f1);
}

double macro_f1(const NpyArray& logits, const std::vector<std::int64_t>& labels) {
  return macro_f1(confusion(argmax_rows(logits), labels, logits.shape[1]));
}

/// Every vector of n weights that are multiples of 1/parts and sum to 1.
void each_weighting(std::size_t n, int parts, std::vector<double>& weights,
                    const std::function<void()>& visit, int left, std::size_t at = 0) {
  if (at + 1 == n) {
    weights[at] = static_cast<double>(left) / parts;
    visit();
    return;
  }
  for (int share = 0; share <= left; ++share) {
    weights[at] = static_cast<double>(share) / parts;
    each_weighting(n, parts, weights, visit, left - share, at + 1);
  }
}

/// The weights with the best macro F1 on the validation rows; of equals the one nearest to equal
/// shares.
std::vector<double> search_weights(const SearchOptions& search, const VoteOptions& options) {
  const std::vector<NpyArray> voters = load_voters(search.logits, options.vote_on);
  if (voters.size() != options.votings.size()) {
    throw ConfigError("search.logits must name the same voters as votings",
                      "give each voter's logits on the validation rows");
  }
  const Rows rows =
      read_rows(search.validation_file, options, static_cast<std::size_t>(voters.front().shape[0]));
  if (std::all_of(rows.labels.begin(), rows.labels.end(), [](auto label) { return label < 0; })) {
    throw DataError(search.validation_file + ": no labels to search weights with",
                    "name the label column in target_column_name");
  }
  std::vector<double> weights(voters.size());
  std::vector<double> best;
  double best_score = -1;
  double best_spread = 0;
  const int parts = static_cast<int>(std::lround(1.0 / search.step));
  each_weighting(
      voters.size(), parts, weights,
      [&] {
        const double score = macro_f1(weighted_sum(voters, weights), rows.labels);
        double spread = 0;
        for (const double weight : weights) spread += weight * weight;
        if (score > best_score || (score == best_score && spread < best_spread)) {
          best = weights;
          best_score = score;
          best_spread = spread;
        }
      },
      parts);
  std::string found;
  for (std::size_t i = 0; i < best.size(); ++i) {
    found += fmt::format(" {}={:.2f}", options.votings[i].first, best[i]);
  }
  inform("weights found on {} (macro F1 {:.4f}):{}", search.validation_file, best_score, found);
  return best;
}

void check_weights(const std::vector<double>& weights) {
  double sum = 0;
  for (const double weight : weights) {
    if (!(weight >= 0)) {
      throw ConfigError(fmt::format("votings: weight {} is below 0", weight),
                        "weights are shares of 1");
    }
    sum += weight;
  }
  constexpr double kTolerance = 1e-5 + 1e-8;  // numpy.isclose(sum, 1), which the original asks
  if (std::abs(sum - 1.0) <= kTolerance) return;
  throw ConfigError(fmt::format("votings: the weights sum to {}, not to 1", sum),
                    "change them so that they sum to 1, or set search to find them");
}

/// Prints and records accuracy and macro F1 where a label is known.
void report_metrics(const std::vector<std::int64_t>& predictions, const Rows& rows,
                    std::int64_t classes, train::Logger& logger) {
  const std::vector<std::int64_t> counts = confusion(predictions, rows.labels, classes);
  if (std::all_of(counts.begin(), counts.end(), [](auto count) { return count == 0; })) return;
  const double accuracy =
      metrics::averaged(metrics::per_class(counts), {metrics::Average::kMicro}, metrics::recall);
  const double f1 = macro_f1(counts);
  inform("accuracy {:.4f}  macro F1 {:.4f}", accuracy, f1);
  logger.log_metrics({{"test_MulticlassF1Score", f1}, {"test_MulticlassAccuracy", accuracy}}, 0, 0);
}

/// The label as the CSV has it: the class's name where names are given, else its number.
std::string label_text(std::int64_t label, const std::vector<std::string>& classes) {
  const auto index = static_cast<std::size_t>(label);
  return index < classes.size() ? classes[index] : std::to_string(label);
}

VoteOptions read_options(const config::Node& config) {
  VoteOptions options;
  config::Fields fields(config, "polyphony vote", "");
  options.describe(fields);  // other keys of the tree are variables for interpolation
  if (const config::Node* search = config.find("search"); search != nullptr && !search->is_null()) {
    options.search = config::bind<SearchOptions>(*search, "polyphony vote", "search");
  }
  if (options.votings.empty()) {
    throw ConfigError("votings: no voter is named", "write votings: {NAME: WEIGHT}");
  }
  return options;
}

/// Where each voter's logits are.
config::Named<std::string> voter_paths(const VoteOptions& options) {
  config::Named<std::string> paths;
  for (const auto& [name, weight] : options.votings) {
    const auto own = std::find_if(options.logits.begin(), options.logits.end(),
                                  [&name = name](const auto& item) { return item.first == name; });
    paths.emplace_back(name, own != options.logits.end()
                                 ? own->second
                                 : options.connected_dir + "/logits/" + name + ".npy");
  }
  return paths;
}

void cast_votes(const VoteOptions& options, Recording& recording) {
  std::vector<double> weights;
  if (options.search) {
    weights = search_weights(*options.search, options);
  } else {
    for (const auto& [name, weight] : options.votings) weights.push_back(weight);
  }
  check_weights(weights);
  const std::vector<NpyArray> voters = load_voters(voter_paths(options), options.vote_on);
  const NpyArray voted = weighted_sum(voters, weights);
  const std::vector<std::int64_t> predictions = argmax_rows(voted);
  Rows rows = read_rows(options.submission_file, options, predictions.size());
  report_metrics(predictions, rows, voted.shape[1], *recording.take_loggers().front());
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    rows.table.rows[i][rows.target] = label_text(predictions[i], options.classes);
  }
  save_npy(options.voted_logit, voted);
  write_file(options.voted_file, to_csv(rows.table));
  inform("logits: {}\npredictions: {}", options.voted_logit, options.voted_file);
}

}  // namespace

void vote(const Request& request) {
  const config::Node config = resolved(request);
  const VoteOptions options = read_options(config);
  Recording recording(request, config, {options.run_name, std::nullopt, {}, {}});
  recording.during([&] { cast_votes(options, recording); });
}

}  // namespace polyphony::pipeline
