#include <polyphony/pipeline/multimodal.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include <ATen/ops/argmax.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/interpolate/interpolate.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/pipeline/experiment_run.h>
#include <polyphony/pipeline/logits.h>
#include <polyphony/pipeline/reference_tree.h>
#include <polyphony/train/checkpoint.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;
namespace {

/// What the original's multimodal trees say. Other keys at the root are variables.
struct MultimodalOptions : RunOptions {
  std::string mode;
  ReferenceData data;
  config::Child<train::Task> architecture;
  config::Child<train::Task> architecture_module;  ///< January 2024
  int batch_size = 32;
  int workers_ratio = 2;
  bool use_all_workers = false;
  std::int64_t resumed_step = 0;
  std::optional<std::string> resume_from;
  std::optional<std::string> ckpt_path;
  std::string connected_dir;
  std::string submission_file_name = "test";
  std::string logit_name;
  std::string submission_name;
  std::string target_column_name = "emotion";
  std::string monitor = "val_MulticlassF1Score";

  MultimodalOptions() { run_name = "multimodal"; }
  void describe(config::Fields& f) {
    f("mode", mode, "train, test or predict");
    f("run_name", run_name, "name of the run in the record");
    f("seed", seed, "of initialisation, order and dropout");
    f.check("seed", seed >= 0, "at least 0");
    RunOptions::describe(f);
    data.describe(f);
    f("architecture", architecture, "model, loss, metrics and optimizer");
    f("architecture_module", architecture_module, "the same, as January 2024 calls it");
    f("batch_size", batch_size, "rows of a batch");
    f.check("batch_size", batch_size >= 1, "at least 1");
    f("workers_ratio", workers_ratio, "threads that load rows, a device");
    f.check("workers_ratio", workers_ratio >= 0, "at least 0");
    f("use_all_workers", use_all_workers, "as many as the machine has processors");
    f("resumed_step", resumed_step, "more than 0: go on from last.ckpt of the checkpoint folder");
    f.check("resumed_step", resumed_step >= 0, "at least 0");
    f("resume_from", resume_from, "train: any checkpoint to go on from");
    f("ckpt_path", ckpt_path, "test and predict: the weights to use");
    f("connected_dir", connected_dir, "predict: folder of data, logits and submissions");
    f("submission_file_name", submission_file_name, "predict: CONNECTED_DIR/data/NAME.csv to fill");
    f("logit_name", logit_name, "predict: CONNECTED_DIR/logits/NAME.npy");
    f("submission_name", submission_name, "predict: CONNECTED_DIR/submissions/NAME.csv");
    f("target_column_name", target_column_name, "column of labels");
    f("monitor", monitor, "the metric that is watched");
  }

  const config::Node& task() const {
    return architecture.is_set() ? architecture.node : architecture_module.node;
  }
};

train::Stage stage_of(const MultimodalOptions& options) {
  train::Stage stage = options.ckpt_path ? train::Stage::kTest : train::Stage::kTrain;
  if (options.mode.empty() || config::read(config::Node(options.mode), stage)) return stage;
  if (options.mode == "tune") {
    throw ConfigError(
        "mode: tune: the original's search (Optuna) is not built yet",
        fmt::format("sweep over what tuner.hparams names with --multirun mode=train, e.g. "
                    "lr=1e-3,5e-4 num_layers=2,4; the best run stands first in `polyphony runs "
                    "list --sort {0}:desc --metric {0}`. Its values, written as JSON to "
                    "tuned_hparams_path, are what is_tuned=tuned takes",
                    options.monitor));
  }
  throw ConfigError(fmt::format("mode: {}: no such mode", options.mode),
                    "write mode=train, mode=test or mode=predict");
}

/// Names of the checkpoints in a folder, sorted and joined; empty where there is none.
std::string checkpoints_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".ckpt") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  constexpr std::size_t kShown = 12;
  if (names.size() > kShown) {
    names.resize(kShown);
    names.emplace_back("…");
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

/// The checkpoint to test or predict with. DeepSpeed's are folders, in which the original puts
/// model.pt.
fs::path checkpoint(const MultimodalOptions& options) {
  if (!options.ckpt_path) {
    throw ConfigError("ckpt_path: must be given", "give ckpt_path=CHECKPOINT.ckpt");
  }
  const fs::path path = *options.ckpt_path;
  std::error_code error;
  if (fs::is_regular_file(path / "model.pt", error)) return path / "model.pt";
  if (fs::exists(path, error)) return train::best_checkpoint(path);
  const std::string others = checkpoints_in(path.parent_path());
  throw DataError(fmt::format("ckpt_path: {}: no such checkpoint", path.string()),
                  others.empty() ? "train first with the same options, which the folder is named "
                                   "after, or name a file: ckpt_path=CHECKPOINT.ckpt"
                                 : "give another epoch=N or ckpt_path; its folder has " + others);
}

/// One run of the fusion model.
class Fusion : public Experiment {
 public:
  explicit Fusion(MultimodalOptions options) : options_(std::move(options)) {
    if (options_.task().is_null()) {
      throw ConfigError("architecture: must be given", "choose one: architecture=NAME");
    }
    stage_ = stage_of(options_);
    if (stage_ != train::Stage::kTrain) checkpoint(options_);  // says early what is missing
  }

  RunOptions& options() override { return options_; }
  std::unique_ptr<train::Task> task() override {
    return config::build<train::Task>(
        options_.task(), options_.architecture.is_set() ? "architecture" : "architecture_module");
  }
  std::unique_ptr<data::Dataset> rows(const std::string& split) const override {
    return options_.data.rows(split);
  }
  void load(data::LoaderOptions& loading, train::Stage) const override {
    const int processors = static_cast<int>(std::thread::hardware_concurrency());
    loading.batch_size = options_.batch_size;
    loading.workers =
        options_.use_all_workers ? processors : std::min(options_.workers_ratio, processors);
  }
  const config::Node& dataset() const override { return options_.data.section(); }
  const config::Node& hyper_parameters() const override { return options_.task(); }
  const char* resume_key() const override { return "+resume_from"; }

  void run(ExperimentRun& run) override {
    if (stage_ == train::Stage::kTrain) return run.fit("train", "val", resume_from());
    if (stage_ == train::Stage::kPredict) require_names();
    run.load_weights(checkpoint(options_));
    if (stage_ == train::Stage::kTest) return run.test("test");
    const at::Tensor logits = run.predict("predict");
    if (run.trainer().is_global_zero()) write(logits, run.rows("predict"));
  }

 private:
  /// The checkpoint to go on from: the original's last.ckpt, or an interrupted run's own.
  fs::path resume_from() const {
    if (options_.resumed) return *options_.resumed;
    if (options_.resume_from) return *options_.resume_from;
    if (options_.resumed_step == 0) return {};
    for (const auto& [name, child] : options_.callbacks) {
      const config::Node* folder = child.is_set() ? child.node.find("dirpath") : nullptr;
      if (folder != nullptr && folder->is_string())
        return fs::path(folder->as_string()) / "last.ckpt";
    }
    throw ConfigError("resumed_step: more than 0, but no checkpoint folder is known",
                      "set callbacks.model_checkpoint.dirpath");
  }

  void require_names() const {
    for (const auto& [name, value] : {std::pair{"connected_dir", options_.connected_dir},
                                      {"logit_name", options_.logit_name},
                                      {"submission_name", options_.submission_name}}) {
      if (value.empty()) {
        throw ConfigError(fmt::format("{}: must be given where mode=predict", name),
                          fmt::format("write {}=…", name));
      }
    }
  }

  fs::path submission_input() const {
    return fs::path(options_.connected_dir) / "data" / (options_.submission_file_name + ".csv");
  }

  /// The original's two files. As there, rows beyond those of the submission file are left out.
  /// Where there is none to fill, the dataset's own rows get a column of predictions.
  void write(const at::Tensor& logits, const data::Dataset& rows) const {
    const fs::path folder = options_.connected_dir;
    const fs::path input = submission_input();
    const bool fills = fs::exists(input);
    CsvTable table = fills ? read_csv(input) : rows.table();
    const std::string target = fills ? options_.target_column_name : "prediction";
    if (!fills) inform("note: no {}; the dataset's own rows are written", input.string());
    const auto wanted = static_cast<std::int64_t>(table.rows.size());
    if (wanted > logits.size(0)) {
      throw DataError(fmt::format("{}: {} rows, but the dataset has {} (rows without text or label "
                                  "are dropped)",
                                  input.string(), wanted, logits.size(0)),
                      "make it of the rows that path_test holds whole");
    }
    if (wanted < logits.size(0)) {
      warn("{} has {} rows: the last {} predictions are left out", input.string(), wanted,
           logits.size(0) - wanted);
    }
    const at::Tensor kept = logits.narrow(0, 0, wanted).contiguous();
    const at::Tensor best = at::argmax(kept, 1);
    const auto column = std::find(table.header.begin(), table.header.end(), target);
    const auto at = static_cast<std::size_t>(column - table.header.begin());
    if (column == table.header.end()) {
      table.header.push_back(target);
      for (auto& row : table.rows) row.emplace_back();
    }
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      table.rows[i][at] = fmt::to_string(best.data_ptr<std::int64_t>()[i]);
    }
    const fs::path npy = folder / "logits" / (options_.logit_name + ".npy");
    const fs::path csv = folder / "submissions" / (options_.submission_name + ".csv");
    save_logits(npy, kept);
    write_file(csv, to_csv(table));
    inform("logits of {} rows: {}\nlabels: {}", wanted, npy.string(), csv.string());
  }

  MultimodalOptions options_;
  train::Stage stage_ = train::Stage::kTrain;
};

/// A value of the composed configuration, resolved alone; empty where there is none.
std::string resolved_text(const Request& request, const std::string& key) {
  config::ResolveContext context;
  context.hydra = request.config.hydra;
  const config::Node config = config::resolve(request.config.config, context);
  const config::Node* value = config.find(key);
  return value == nullptr || value->is_null() ? "" : config::python_str(*value);
}

/// `is_tuned: tuned`: the best parameters of a search stand in the place of the configuration's.
void take_tuned_parameters(Request& request) {
  const config::Node* is_tuned = request.config.config.find("is_tuned");
  if (is_tuned == nullptr || *is_tuned == config::Node("untuned")) return;
  if (!(*is_tuned == config::Node("tuned"))) {
    throw ConfigError(fmt::format("is_tuned: {}: no such word", config::python_str(*is_tuned)),
                      "write is_tuned=tuned or is_tuned=untuned");
  }
  const std::string path = resolved_text(request, "tuned_hparams_path");
  if (path.empty()) {
    throw ConfigError("tuned_hparams_path: must be given where is_tuned=tuned",
                      "name the best_params.json of a search");
  }
  if (std::error_code error; !fs::exists(path, error)) {
    throw DataError(fmt::format("tuned_hparams_path: {}: no such file", path),
                    "write the best values of a search there, as JSON: {\"lr\": 1e-3, "
                    "\"num_layers\": 2}; or is_tuned=untuned");
  }
  const config::Node best = config::parse_yaml(read_file(path), path);
  if (!best.is_map()) throw DataError(path + ": no JSON object", "name a best_params.json");
  for (const auto& [key, value] : best.entries()) {
    request.config.config.set(config::python_str(key), value);
  }
  inform("tuned parameters: {}", path);
}

}  // namespace

void run_multimodal(const Request& given) {
  Request request = given;
  take_tuned_parameters(request);
  run_recorded(request, [](const Request&, config::Node& config) {
    for_this_build(config.find("trainer"));
    return std::make_unique<Fusion>(read_options<MultimodalOptions>(config, "multimodal"));
  });
}

}  // namespace polyphony::pipeline
