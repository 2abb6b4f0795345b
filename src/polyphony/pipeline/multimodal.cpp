#include <polyphony/pipeline/multimodal.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include <ATen/ops/argmax.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/assignment.h>
#include <polyphony/base/csv.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/signals.h>
#include <polyphony/callbacks/defaults.h>
#include <polyphony/config/interpolate.h>
#include <polyphony/config/scalars.h>
#include <polyphony/config/yaml.h>
#include <polyphony/pipeline/embed.h>
#include <polyphony/pipeline/options.h>
#include <polyphony/pipeline/recording.h>
#include <polyphony/pipeline/reference_tree.h>
#include <polyphony/pipeline/resume_guard.h>
#include <polyphony/pipeline/resume_point.h>
#include <polyphony/pipeline/run_monitor.h>
#include <polyphony/pipeline/stoppable.h>
#include <polyphony/tensor/plain.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/checkpoint.h>
#include <polyphony/train/trainer.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;
namespace {

enum class Stage { kTrain, kTest, kPredict };

/// What the original's multimodal trees say. Other keys at the root are variables.
struct MultimodalOptions {
  std::string mode;
  std::string run_name = "multimodal";
  std::int64_t seed = 2024;
  int num_threads = 0;
  ReferenceData data;
  config::Child<train::Task> architecture;
  config::Child<train::Task> architecture_module;  ///< January 2024
  config::Named<config::Child<train::Callback>> callbacks;
  Loggers logger;
  RecordingOptions recording;
  train::TrainerOptions trainer;
  EmbeddingsOptions embeddings;
  int batch_size = 32;
  int workers_ratio = 2;
  bool use_all_workers = false;
  std::int64_t resumed_step = 0;
  std::optional<std::string> resume_from;
  ResumeOptions resume;
  std::optional<std::string> ckpt_path;
  std::string connected_dir;
  std::string submission_file_name = "test";
  std::string logit_name;
  std::string submission_name;
  std::string target_column_name = "emotion";
  std::string monitor = "val_MulticlassF1Score";

  void describe(config::Fields& f) {
    f("mode", mode, "train, test or predict");
    f("run_name", run_name, "name of the run in the record");
    f("seed", seed, "of initialisation, order and dropout");
    f.check("seed", seed >= 0, "at least 0");
    f("num_threads", num_threads, "threads of LibTorch's kernels; 0: its own choice");
    f.check("num_threads", num_threads >= 0, "at least 0");
    data.describe(f);
    f("architecture", architecture, "model, loss, metrics and optimizer");
    f("architecture_module", architecture_module, "the same, as January 2024 calls it");
    f("callbacks", callbacks, "what watches the run");
    f("logger", logger, "where metrics go beside the local record");
    f("recording", recording, "what is recorded of the run");
    f("trainer", trainer, "the loops");
    f("embeddings", embeddings, "where hidden states of the frozen encoders are kept");
    f("batch_size", batch_size, "rows of a batch");
    f.check("batch_size", batch_size >= 1, "at least 1");
    f("workers_ratio", workers_ratio, "threads that load rows, a device");
    f.check("workers_ratio", workers_ratio >= 0, "at least 0");
    f("use_all_workers", use_all_workers, "as many as the machine has processors");
    f("resumed_step", resumed_step, "more than 0: go on from last.ckpt of the checkpoint folder");
    f.check("resumed_step", resumed_step >= 0, "at least 0");
    f("resume_from", resume_from, "train: any checkpoint to go on from");
    f("resume", resume, "what may have changed where training goes on from a checkpoint");
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

Stage stage_of(const MultimodalOptions& options) {
  if (options.mode.empty()) return options.ckpt_path ? Stage::kTest : Stage::kTrain;
  if (options.mode == "train") return Stage::kTrain;
  if (options.mode == "test") return Stage::kTest;
  if (options.mode == "predict") return Stage::kPredict;
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
class Multimodal {
 public:
  Multimodal(MultimodalOptions options, Recording& recording,
             std::unique_ptr<train::Strategy> strategy, std::unique_ptr<ResumeGuard> guard)
      : options_(std::move(options)),
        recording_(recording),
        guard_(guard.get()),
        trainer_(options_.trainer, recording.directory(),
                 parts(std::move(strategy), std::move(guard))),
        embedder_(options_.embeddings, trainer_.strategy()) {
    tensor::set_up_compute(options_.num_threads, determinism(options_.trainer.deterministic));
    fmt::print("{}\n", tensor::describe_compute());
    tensor::seed_everything(static_cast<std::uint64_t>(options_.seed));
    task_ = config::build<train::Task>(
        options_.task(), options_.architecture.is_set() ? "architecture" : "architecture_module");
  }

  void run(Stage stage) {
    switch (stage) {
      case Stage::kTrain:
        return train();
      case Stage::kTest:
        return test();
      case Stage::kPredict:
        return predict();
    }
  }

 private:
  train::TrainerParts parts(std::unique_ptr<train::Strategy> strategy,
                            std::unique_ptr<ResumeGuard> guard) {
    train::TrainerParts parts;
    parts.strategy = std::move(strategy);
    for (const auto& [name, child] : options_.callbacks) {
      if (child.is_set()) parts.callbacks.push_back(config::build(child, "callbacks." + name));
    }
    parts.callbacks = callbacks::with_defaults(std::move(parts.callbacks), options_.trainer);
    parts.callbacks.push_back(std::make_unique<RunMonitor>(recording_));
    parts.callbacks.push_back(std::move(guard));
    parts.loggers = recording_.take_loggers();
    parts.hyper_parameters = tensor::value_of(options_.task());
    parts.resume_key = "+resume_from";
    return parts;
  }

  std::unique_ptr<data::Dataset> rows_of(const std::string& stage) {
    return embedder_.embed(options_.data.rows(stage), stage);
  }

  data::LoaderOptions loading(bool train) const {
    data::LoaderOptions loader;
    loader.batch_size = options_.batch_size;
    loader.shuffle = train;
    const int processors = static_cast<int>(std::thread::hardware_concurrency());
    loader.workers =
        options_.use_all_workers ? processors : std::min(options_.workers_ratio, processors);
    loader.seed = static_cast<std::uint64_t>(options_.seed);
    loader.shard = {trainer_.strategy().rank(), trainer_.strategy().world_size()};
    loader.even_shards = train;
    return loader;
  }

  void train() {
    stop_if_asked(trainer_.strategy());
    const auto rows = rows_of("train");
    const auto val_rows = rows_of("val");
    task_->setup(*rows);
    guard_->observe(*rows, *val_rows, options_.data.section(), trainer_.strategy());
    data::Loader loader(*rows, loading(true));
    data::Loader val_loader(*val_rows, loading(false));
    try {
      trainer_.fit(*task_, loader, &val_loader, resume());
    } catch (const Interrupted& stop) {
      throw Interrupted::with_remedy(
          stop.signal_number(), stop.checkpoint(),
          "to go on exactly where it stopped, give the same command with " +
              assignment("+resume_from", stop.checkpoint().string()));
    }
  }

  /// The checkpoint to go on from: the original's last.ckpt, or an interrupted run's own.
  fs::path resume() const {
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

  void load_weights() {
    const fs::path path = checkpoint(options_);
    task_->load_state(train::load_state_dict(path), path.string());
    fmt::print("weights: {}\n", path.string());
  }

  void test() {
    load_weights();
    const auto rows = rows_of("test");
    task_->setup(*rows);
    data::Loader loader(*rows, loading(false));
    for (const auto& [name, value] : trainer_.test(*task_, loader)) {
      fmt::print("{:<24} {:.4f}\n", name, value);
    }
  }

  void predict() {
    require_names();
    load_weights();
    const auto rows = rows_of("predict");
    data::Loader loader(*rows, loading(false));
    const at::Tensor logits = trainer_.predict(*task_, loader).contiguous();
    if (!trainer_.is_global_zero()) return;
    write(logits, *rows);
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
    if (!fills) fmt::print("note: no {}; the dataset's own rows are written\n", input.string());
    const auto wanted = static_cast<std::int64_t>(table.rows.size());
    if (wanted > logits.size(0)) {
      throw DataError(fmt::format("{}: {} rows, but the dataset has {} (rows without text or label "
                                  "are dropped)",
                                  input.string(), wanted, logits.size(0)),
                      "make it of the rows that path_test holds whole");
    }
    if (wanted < logits.size(0)) {
      fmt::print(stderr, "warning: {} has {} rows: the last {} predictions are left out\n",
                 input.string(), wanted, logits.size(0) - wanted);
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
    save_logits(npy.string(), kept);
    write_file(csv, to_csv(table));
    fmt::print("logits of {} rows: {}\nlabels: {}\n", wanted, npy.string(), csv.string());
  }

  MultimodalOptions options_;
  Recording& recording_;
  ResumeGuard* guard_;  ///< the trainer's
  train::Trainer trainer_;
  Embedder embedder_;
  std::unique_ptr<train::Task> task_;
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
  fmt::print("tuned parameters: {}\n", path);
}

}  // namespace

void run_multimodal(const Request& given) {
  Request request = given;
  take_tuned_parameters(request);
  config::Node config = resolved(request);
  for_this_build(config.find("trainer"));
  MultimodalOptions options;
  config::Fields fields(config, "polyphony multimodal", "");
  options.describe(fields);
  if (options.task().is_null()) {
    throw ConfigError("architecture: must be given", "choose one: architecture=NAME");
  }
  const Stage stage = stage_of(options);
  if (stage != Stage::kTrain) checkpoint(options);  // says early what is missing
  refuse_before_launch(request, config, options.trainer,
                       ResumeGuard(request, config, fields.docs(), options.resume),
                       train::processes_to_launch(options.trainer, options.num_threads));
  in_processes(request, options.trainer, options.num_threads,
               [&](const Request& mine, std::unique_ptr<train::Strategy> strategy) {
                 auto guard =
                     std::make_unique<ResumeGuard>(mine, config, fields.docs(), options.resume);
                 const auto point = resume_point(mine, config, options.trainer, *guard, *strategy);
                 const bool dev_run = options.trainer.fast_dev_run.count > 0;
                 RunLabel label{options.run_name, options.seed, options.recording,
                                dev_run ? Loggers{} : options.logger};
                 if (point) {
                   options.resume_from = point->checkpoint.string();
                   label.rows_before = point->rows;
                 }
                 Recording recording(mine, config, std::move(label), *strategy);
                 recording.during([&] {
                   Multimodal(options, recording, std::move(strategy), std::move(guard)).run(stage);
                 });
               });
}

}  // namespace polyphony::pipeline
