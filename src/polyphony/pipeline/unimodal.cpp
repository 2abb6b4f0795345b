#include <polyphony/pipeline/unimodal.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include <polyphony/base/assignment.h>
#include <polyphony/base/error.h>
#include <polyphony/base/signals.h>
#include <polyphony/callbacks/defaults.h>
#include <polyphony/models/pretrained_folder.h>
#include <polyphony/models/sequence_classifier.h>
#include <polyphony/pipeline/pretrained_checkpoints.h>
#include <polyphony/pipeline/recording.h>
#include <polyphony/pipeline/reference_tree.h>
#include <polyphony/pipeline/report_to.h>
#include <polyphony/pipeline/resume_guard.h>
#include <polyphony/pipeline/resume_point.h>
#include <polyphony/pipeline/run_monitor.h>
#include <polyphony/pipeline/stoppable.h>
#include <polyphony/tasks/sequence_classification.h>
#include <polyphony/tensor/plain.h>
#include <polyphony/tensor/safetensors.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/trainer.h>
#include <polyphony/train/training_arguments.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;
namespace {

/// transformers' metric of the original: `load_metric(first_metric, second_metric)`.
struct MetricOptions {
  std::string first_metric = "glue";
  std::string second_metric = "mnli";

  void describe(config::Fields& f) {
    f("first_metric", first_metric, "accuracy or f1, or glue: accuracy");
    f.check("first_metric",
            first_metric == "glue" || first_metric == "accuracy" || first_metric == "f1",
            "glue, accuracy or f1");
    f("second_metric", second_metric, "task of glue; those of MNLI and its like give accuracy");
  }
};

/// What the original's unimodal trees say. Other keys at the root are variables.
struct UnimodalOptions {
  std::string mode;
  std::string run_name = "unimodal";
  std::int64_t seed = 42;
  int num_threads = 0;
  ReferenceData data;
  config::Child<train::TrainingArguments> training_arguments;
  int num_labels = 0;
  std::string audio_pretrained_model_name;
  std::string text_pretrained_model_name;
  std::string pretrained_model_name;  ///< January 2024
  config::Node model = config::Node::map();
  bool output_hidden_states = false;
  MetricOptions metric;
  std::string save_predictions;
  ResumeOptions resume;
  std::optional<fs::path> resumed;  ///< the checkpoint of `polyphony resume`
  Loggers logger;
  RecordingOptions recording;

  void describe(config::Fields& f) {
    f("mode", mode, "audio or text: which encoder is trained");
    f.check("mode", mode.empty() || mode == "audio" || mode == "text", "audio or text");
    f("run_name", run_name, "name of the run in the record");
    f("seed", seed, "taken where training_arguments.seed is not given");
    f("num_threads", num_threads, "threads of LibTorch's kernels; 0: its own choice");
    f.check("num_threads", num_threads >= 0, "at least 0");
    data.describe(f);
    f.required("training_arguments", training_arguments, "how to train");
    f.required("num_labels", num_labels, "number of classes");
    f.check("num_labels", num_labels >= 2, "at least 2");
    f("audio_pretrained_model_name", audio_pretrained_model_name, "of mode=audio: folder or hub");
    f("text_pretrained_model_name", text_pretrained_model_name, "of mode=text: folder or hub");
    f("pretrained_model_name", pretrained_model_name, "of either, as in January 2024");
    f("model", model, "more options of polyphony.models.SequenceClassifier");
    f.check("model", model.is_map() || model.is_null(), "a mapping");
    f("resume", resume, "what may have changed where training goes on from a checkpoint");
    f("logger", logger, "where metrics go beside the local record");
    f("recording", recording, "what is recorded of the run");
    f("output_hidden_states", output_hidden_states, "taken, and without effect");
    f("metric", metric, "what is logged of an evaluation");
    f.required("save_predictions", save_predictions, "folder or .npy file for the test logits");
  }

  const std::string& pretrained() const {
    if (mode == "audio" && !audio_pretrained_model_name.empty()) return audio_pretrained_model_name;
    if (mode == "text" && !text_pretrained_model_name.empty()) return text_pretrained_model_name;
    if (!pretrained_model_name.empty()) return pretrained_model_name;
    throw ConfigError(mode.empty() ? "pretrained_model_name: must be given, or mode"
                                   : fmt::format("{}_pretrained_model_name: must be given", mode),
                      "name a folder in Hugging Face's layout, or a model of the hub");
  }

  fs::path predictions() const {
    const fs::path path = save_predictions;
    if (path.extension() == ".npy") return path;
    if (mode.empty()) {
      throw ConfigError("save_predictions: a folder, but mode does not say the file's name",
                        "write mode=audio or mode=text, or a file: save_predictions=NAME.npy");
    }
    return path / (mode + ".npy");
  }
};

/// One fine-tuning.
class Unimodal {
 public:
  Unimodal(const UnimodalOptions& options, const train::TrainingArguments& arguments,
           Recording& recording, std::unique_ptr<train::Strategy> strategy,
           std::unique_ptr<ResumeGuard> guard)
      : options_(options),
        arguments_(arguments),
        recording_(recording),
        strategy_(std::move(strategy)),
        guard_(std::move(guard)) {
    tensor::set_up_compute(options_.num_threads, tensor::Determinism::kOn);
    fmt::print("{}\n", tensor::describe_compute());
    tensor::seed_everything(static_cast<std::uint64_t>(arguments_.options().seed));
    make_task();
  }

  void run() {
    stop_if_asked(*strategy_);
    const auto train_rows = options_.data.rows("train");
    const auto val_rows = options_.data.rows("val");
    const auto test_rows = options_.data.rows("test");
    task_->setup(*train_rows);
    data::Loader train_loader(*train_rows, loading(true));
    data::Loader val_loader(*val_rows, loading(false));
    data::Loader test_loader(*test_rows, loading(false));
    guard_->observe(*train_rows, *val_rows, options_.data.section(), *strategy_);
    make_trainer(train_loader.batches());
    const bool evaluates = arguments_.evaluation() != train::IntervalStrategy::kNo;
    try {
      trainer_->fit(*task_, train_loader, evaluates ? &val_loader : nullptr, resume());
    } catch (const Interrupted& stop) {
      throw Interrupted::with_remedy(
          stop.signal_number(), stop.checkpoint(),
          "to go on exactly where it stopped, give the same command with " +
              assignment("+training_arguments.resume_from_checkpoint", stop.checkpoint().string()));
    }
    try {
      evaluate(val_loader, test_loader);
    } catch (const Interrupted& stop) {
      leave_untested(stop.signal_number());
    }
  }

 private:
  /// What follows training.
  void evaluate(data::Loader& val_loader, data::Loader& test_loader) {
    load_best();
    print(trainer_->validate(*task_, val_loader));
    print(trainer_->test(*task_, test_loader));
    const at::Tensor logits = trainer_->predict(*task_, test_loader);
    if (!trainer_->is_global_zero()) return;
    save_logits(options_.predictions().string(), logits);
    fmt::print("logits of {} rows: {}\n", logits.size(0), options_.predictions().string());
  }

  /// Training is complete; what it made is kept. @throws Interrupted
  [[noreturn]] void leave_untested(int signal_number) const {
    fs::path kept = trainer_->checkpoint_directory() / "last.ckpt";
    std::error_code error;
    if (!fs::exists(kept, error)) {
      kept = PretrainedCheckpoints::newest(arguments_.options().output_dir).value_or("");
    }
    if (kept.empty()) {
      throw Interrupted::unsaved(signal_number,
                                 "training is complete, but no checkpoint was kept to test: set "
                                 "training_arguments.save_strategy, and train again");
    }
    throw Interrupted::with_remedy(
        signal_number, kept,
        "training is complete; to evaluate and predict, give the same "
        "command with " +
            assignment("+training_arguments.resume_from_checkpoint", kept.string()));
  }

  void make_task() {
    config::Node model = options_.model.is_map() ? options_.model : config::Node::map();
    model.set("_target_", "polyphony.models.SequenceClassifier");
    model.set("pretrained_model", options_.pretrained());
    model.set("num_labels", config::Node(options_.num_labels));
    if (arguments_.options().gradient_checkpointing) model.set("gradient_checkpointing", true);
    tasks::SequenceClassificationOptions task;
    task.model.node = std::move(model);
    task.num_labels = options_.num_labels;
    task.label_smoothing_factor = arguments_.options().label_smoothing_factor;
    task_ = std::make_unique<tasks::SequenceClassification>(task);
    model_ = dynamic_cast<models::SequenceClassifier*>(&task_->model());
    const bool speech = models::is_speech(model_->config().kind);
    if (!options_.mode.empty() && speech != (options_.mode == "audio")) {
      throw ConfigError(fmt::format("mode: {}, but {} is a {} encoder", options_.mode,
                                    options_.pretrained(), speech ? "speech" : "text"),
                        speech ? "write mode=audio" : "write mode=text");
    }
  }

  data::LoaderOptions loading(bool train) const {
    const auto& options = arguments_.options();
    data::LoaderOptions loader;
    loader.batch_size = static_cast<int>(train ? options.per_device_train_batch_size
                                               : options.per_device_eval_batch_size);
    loader.shuffle = train;
    loader.workers =
        options.dataloader_num_workers > 0 ? static_cast<int>(options.dataloader_num_workers) : 2;
    loader.seed = static_cast<std::uint64_t>(options.data_seed.value_or(options.seed));
    loader.shard = {strategy_rank(), strategy_world()};
    loader.even_shards = train;
    return loader;
  }

  std::int64_t strategy_rank() const {
    return trainer_ ? trainer_->strategy().rank() : strategy_->rank();
  }
  std::int64_t strategy_world() const {
    return trainer_ ? trainer_->strategy().world_size() : strategy_->world_size();
  }

  /// Whether a number of whole epochs limits the run, not a number of steps.
  bool counts_epochs() const {
    const auto& options = arguments_.options();
    return options.max_steps <= 0 &&
           options.num_train_epochs == std::floor(options.num_train_epochs);
  }

  void make_trainer(std::int64_t batches) {
    const std::int64_t steps = arguments_.total_steps(batches);
    const auto& options = arguments_.options();
    task_->optimize_by([this, steps, &options] {
      train::Optimization optimization;
      optimization.optimizer = arguments_.make_optimizer(
          task_->param_groups(options.learning_rate, options.weight_decay));
      optimization.schedule = arguments_.make_schedule(steps);
      return optimization;
    });
    train::TrainerParts parts;
    parts.strategy = std::move(strategy_);
    auto saver = std::make_unique<PretrainedCheckpoints>(
        arguments_, steps, [this](const fs::path& folder) { model_->save_pretrained(folder); });
    checkpoints_ = saver.get();
    parts.callbacks.push_back(std::move(saver));
    train::TrainerOptions trainer = arguments_.trainer_options(batches);
    // Whole epochs say it all, also of a run that goes on in another number of processes, whose
    // epochs have other numbers of steps.
    if (counts_epochs()) trainer.max_steps = -1;
    parts.callbacks = callbacks::with_defaults(std::move(parts.callbacks), trainer);
    parts.callbacks.push_back(std::make_unique<RunMonitor>(recording_));
    parts.callbacks.push_back(std::move(guard_));
    parts.loggers = recording_.take_loggers();
    parts.hyper_parameters = tensor::value_of(options_.training_arguments.node);
    parts.resume_key = "+training_arguments.resume_from_checkpoint";
    trainer_.emplace(trainer, recording_.directory(), std::move(parts));
  }

  /// The checkpoint to go on from; empty: begin anew.
  fs::path resume() const {
    if (options_.resumed) return *options_.resumed;
    const config::Node& from = arguments_.options().resume_from_checkpoint;
    if (from.is_null() || from == config::Node(false)) return {};
    if (!from.is_string() && !(from == config::Node(true))) {
      throw ConfigError("training_arguments.resume_from_checkpoint: neither a folder nor true",
                        "write true, or the path of a checkpoint-STEP folder");
    }
    fs::path path = from.as_string();
    if (!from.is_string()) {
      const auto newest = PretrainedCheckpoints::newest(arguments_.options().output_dir);
      if (!newest) {
        throw DataError(fmt::format("training_arguments.resume_from_checkpoint: {} has no "
                                    "checkpoint-STEP folder",
                                    arguments_.options().output_dir),
                        "drop the option to begin anew");
      }
      path = *newest;
    }
    return fs::is_directory(path) ? path / "trainer.ckpt" : path;
  }

  void load_best() {
    if (!arguments_.options().load_best_model_at_end || checkpoints_->best().empty()) return;
    const fs::path file = fs::path(checkpoints_->best()) / "model.safetensors";
    train::NamedTensors state;
    for (const auto& [name, tensor] : tensor::load_safetensors(file)) {
      state.emplace_back("model." + name, tensor);
    }
    task_->load_state(state, file.string());
    fmt::print("best model: {}\n", checkpoints_->best());
  }

  void print(const train::MetricValues& values) const {
    if (!trainer_->is_global_zero()) return;
    for (const auto& [name, value] : values) fmt::print("{:<24} {:.4f}\n", name, value);
  }

  const UnimodalOptions& options_;
  const train::TrainingArguments& arguments_;
  Recording& recording_;
  std::unique_ptr<train::Strategy> strategy_;  // until the trainer takes it
  std::unique_ptr<ResumeGuard> guard_;         // likewise
  std::unique_ptr<tasks::SequenceClassification> task_;
  models::SequenceClassifier* model_ = nullptr;
  PretrainedCheckpoints* checkpoints_ = nullptr;
  std::optional<train::Trainer> trainer_;
};

/// Today's tree asks for a key that it does not have, and so cannot run in the original.
void complete(config::Node& config) {
  if (config.find("target_column_name") != nullptr) return;
  config.set("target_column_name", "emotion");
}

}  // namespace

void run_unimodal(const Request& given) {
  Request request = given;
  complete(request.config.config);
  config::Node config = resolved(request);
  UnimodalOptions options;
  config::Fields fields(config, "polyphony unimodal", "");
  options.describe(fields);
  config::Node node = options.training_arguments.node;
  if (node.find("seed") == nullptr) node.set("seed", config::Node(options.seed));
  const auto arguments = config::build<train::TrainingArguments>(node, "training_arguments");
  if (arguments->options().evaluation_strategy) {
    fmt::print(
        "note: training_arguments.evaluation_strategy is eval_strategy since Transformers "
        "4.41; both are taken\n");
  }
  if (arguments->options().fp16) {
    fmt::print("note: training_arguments.fp16: the processor has bf16, which is taken\n");
  }
  options.predictions();  // says early what is missing
  const train::TrainerOptions trainer = arguments->trainer_options(1);
  refuse_before_launch(request, config, arguments->limits(),
                       ResumeGuard(request, config, fields.docs(), options.resume),
                       train::processes_to_launch(trainer, options.num_threads));
  in_processes(
      request, trainer, options.num_threads,
      [&](const Request& mine, std::unique_ptr<train::Strategy> strategy) {
        auto guard = std::make_unique<ResumeGuard>(mine, config, fields.docs(), options.resume);
        const auto point = resume_point(mine, config, arguments->limits(), *guard, *strategy);
        RunLabel label{options.run_name, arguments->options().seed, options.recording,
                       with_reporters(options.logger, reporters(*arguments, mine.output_dir))};
        if (point) {
          options.resumed = point->checkpoint;
          label.rows_before = point->rows;
        }
        Recording recording(mine, config, std::move(label), *strategy);
        recording.during([&] {
          Unimodal(options, *arguments, recording, std::move(strategy), std::move(guard)).run();
        });
      });
}

}  // namespace polyphony::pipeline
