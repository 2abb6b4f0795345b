#include <polyphony/pipeline/unimodal.h>

#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/models/pretrained_folder.h>
#include <polyphony/models/sequence_classifier.h>
#include <polyphony/pipeline/experiment_run.h>
#include <polyphony/pipeline/logits.h>
#include <polyphony/pipeline/pretrained_checkpoints.h>
#include <polyphony/pipeline/reference_tree.h>
#include <polyphony/pipeline/report_to.h>
#include <polyphony/tasks/sequence_classification.h>
#include <polyphony/tensor/safetensors.h>
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
struct UnimodalOptions : RunOptions {
  std::string mode;
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
  config::Node task = config::Node::map();

  UnimodalOptions() {
    run_name = "unimodal";
    seed = 42;
  }
  void describe(config::Fields& f) {
    f("mode", mode, "audio or text: which encoder is trained");
    f.check("mode", mode.empty() || mode == "audio" || mode == "text", "audio or text");
    f("run_name", run_name, "name of the run in the record");
    f("seed", seed, "taken where training_arguments.seed is not given");
    RunOptions::describe(f);
    data.describe(f);
    f.required("training_arguments", training_arguments, "how to train");
    f.required("num_labels", num_labels, "number of classes");
    f.check("num_labels", num_labels >= 2, "at least 2");
    f("audio_pretrained_model_name", audio_pretrained_model_name, "of mode=audio: folder or hub");
    f("text_pretrained_model_name", text_pretrained_model_name, "of mode=text: folder or hub");
    f("pretrained_model_name", pretrained_model_name, "of either, as in January 2024");
    f("model", model, "more options of polyphony.models.SequenceClassifier");
    f.check("model", model.is_map() || model.is_null(), "a mapping");
    f("output_hidden_states", output_hidden_states, "taken, and without effect");
    f("metric", metric, "what is logged of an evaluation");
    f.required("save_predictions", save_predictions, "folder or .npy file for the test logits");
    f("task", task, "more options of polyphony.tasks.SequenceClassification");
    f.check("task", task.is_map() || task.is_null(), "a mapping");
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

/// A mapping of options, which others are added to.
config::Node mapping(const config::Node& given) {
  return given.is_map() ? given : config::Node::map();
}

/// One fine-tuning.
class FineTuning : public Experiment {
 public:
  /// @param trainer  the section of the configuration; may be null
  FineTuning(UnimodalOptions options, std::unique_ptr<train::TrainingArguments> arguments,
             const config::Node* trainer)
      : options_(std::move(options)), arguments_(std::move(arguments)) {
    if (trainer != nullptr) trainer_ = *trainer;
    options_.seed = arguments_->options().seed;
    options_.trainer = loops_of(arguments_->trainer_options(1));
    options_.predictions();  // says early what is missing
  }

  RunOptions& options() override { return options_; }
  std::unique_ptr<train::Task> task() override;
  std::unique_ptr<data::Dataset> rows(const std::string& split) const override {
    return options_.data.rows(split);
  }
  void load(data::LoaderOptions& loading, train::Stage stage) const override;
  Loops loops(std::int64_t batches) override;
  train::TrainerOptions limits() override { return loops_of(arguments_->limits()); }
  const config::Node& dataset() const override { return options_.data.section(); }
  const config::Node& hyper_parameters() const override { return options_.training_arguments.node; }
  const char* resume_key() const override { return "+training_arguments.resume_from_checkpoint"; }

  void run(ExperimentRun& run) override;

 private:
  /// With what the section `trainer` says.
  train::TrainerOptions loops_of(train::TrainerOptions options) const;
  /// Whether a number of whole epochs limits the run, not a number of steps.
  bool counts_epochs() const;
  /// The checkpoint to go on from; empty: begin anew.
  fs::path resume_from() const;
  /// What follows training.
  void evaluate(ExperimentRun& run);

  UnimodalOptions options_;
  std::unique_ptr<train::TrainingArguments> arguments_;
  config::Node trainer_;
  std::shared_ptr<models::SequenceClassifier> model_;
  tasks::SequenceClassification* task_ = nullptr;  ///< the run's
  PretrainedCheckpoints* checkpoints_ = nullptr;   ///< the trainer's
};

train::TrainerOptions FineTuning::loops_of(train::TrainerOptions options) const {
  if (trainer_.is_null()) return options;
  config::Fields fields(trainer_, "polyphony unimodal", "trainer");
  options.describe(fields);
  return options;
}

std::unique_ptr<train::Task> FineTuning::task() {
  config::Node model = mapping(options_.model);
  model.set("pretrained_model", options_.pretrained());
  model.set("num_labels", config::Node(options_.num_labels));
  if (arguments_->options().gradient_checkpointing) model.set("gradient_checkpointing", true);
  config::Node node = mapping(options_.task);
  node.set("model", model);
  node.set("num_labels", config::Node(options_.num_labels));
  node.set("label_smoothing_factor", config::Node(arguments_->options().label_smoothing_factor));
  model_ =
      std::make_shared<models::SequenceClassifier>(config::bind<models::SequenceClassifierOptions>(
          model, "polyphony.models.SequenceClassifier", "task.model"));
  const bool speech = models::is_speech(model_->config().kind);
  if (!options_.mode.empty() && speech != (options_.mode == "audio")) {
    throw ConfigError(fmt::format("mode: {}, but {} is a {} encoder", options_.mode,
                                  options_.pretrained(), speech ? "speech" : "text"),
                      speech ? "write mode=audio" : "write mode=text");
  }
  auto task = std::make_unique<tasks::SequenceClassification>(
      config::bind<tasks::SequenceClassificationOptions>(
          node, "polyphony.tasks.SequenceClassification", "task"),
      model_);
  task_ = task.get();
  return task;
}

void FineTuning::load(data::LoaderOptions& loading, train::Stage stage) const {
  const train::TrainingArgumentsOptions& options = arguments_->options();
  loading.batch_size =
      static_cast<int>(stage == train::Stage::kTrain ? options.per_device_train_batch_size
                                                     : options.per_device_eval_batch_size);
  loading.workers =
      options.dataloader_num_workers > 0 ? static_cast<int>(options.dataloader_num_workers) : 2;
  loading.seed = static_cast<std::uint64_t>(options.data_seed.value_or(options.seed));
}

bool FineTuning::counts_epochs() const {
  const train::TrainingArgumentsOptions& options = arguments_->options();
  return options.max_steps <= 0 && options.num_train_epochs == std::floor(options.num_train_epochs);
}

Loops FineTuning::loops(std::int64_t batches) {
  const std::int64_t steps = arguments_->total_steps(batches);
  task_->optimize_by([this, steps] {
    const train::TrainingArgumentsOptions& options = arguments_->options();
    train::Optimization optimization;
    optimization.optimizer = arguments_->make_optimizer(
        task_->param_groups(options.learning_rate, options.weight_decay));
    optimization.schedule = arguments_->make_schedule(steps);
    return optimization;
  });
  train::TrainerOptions trainer = arguments_->trainer_options(batches);
  // Whole epochs say it all, also of a run that goes on in another number of processes, whose
  // epochs have other numbers of steps.
  if (counts_epochs()) trainer.max_steps = -1;
  Loops loops{loops_of(std::move(trainer)), {}};
  auto saver = std::make_unique<PretrainedCheckpoints>(
      *arguments_, steps, [this](const fs::path& folder) { model_->save_pretrained(folder); });
  checkpoints_ = saver.get();
  loops.callbacks.push_back(std::move(saver));
  return loops;
}

fs::path FineTuning::resume_from() const {
  if (options_.resumed) return *options_.resumed;
  const config::Node& from = arguments_->options().resume_from_checkpoint;
  if (from.is_null() || from == config::Node(false)) return {};
  if (!from.is_string() && !(from == config::Node(true))) {
    throw ConfigError("training_arguments.resume_from_checkpoint: neither a folder nor true",
                      "write true, or the path of a checkpoint-STEP folder");
  }
  fs::path path = from.as_string();
  if (!from.is_string()) {
    const auto newest = PretrainedCheckpoints::newest(arguments_->options().output_dir);
    if (!newest) {
      throw DataError(fmt::format("training_arguments.resume_from_checkpoint: {} has no "
                                  "checkpoint-STEP folder",
                                  arguments_->options().output_dir),
                      "drop the option to begin anew");
    }
    path = *newest;
  }
  return fs::is_directory(path) ? path / "trainer.ckpt" : path;
}

void FineTuning::run(ExperimentRun& run) {
  for (const char* split : {"train", "val", "test"}) run.rows(split);  // says early what is wrong
  using Validation = ExperimentRun::Validation;
  const bool evaluates = arguments_->evaluation() != train::IntervalStrategy::kNo;
  run.fit("train", "val", resume_from(), evaluates ? Validation::kOn : Validation::kOff);
  try {
    evaluate(run);
  } catch (const Interrupted& stop) {
    fs::path kept = run.trainer().checkpoint_directory() / "last.ckpt";
    if (std::error_code error; !fs::exists(kept, error)) {
      kept = PretrainedCheckpoints::newest(arguments_->options().output_dir).value_or("");
    }
    run.leave_untested(stop, kept, "set training_arguments.save_strategy",
                       "to evaluate and predict, give the same command with");
  }
}

void FineTuning::evaluate(ExperimentRun& run) {
  if (arguments_->options().load_best_model_at_end && !checkpoints_->best().empty()) {
    const fs::path file = fs::path(checkpoints_->best()) / "model.safetensors";
    train::NamedTensors state;
    for (const auto& [name, tensor] : tensor::load_safetensors(file)) {
      state.emplace_back("model." + name, tensor);
    }
    task_->load_state(state, file.string());
    inform("best model: {}", checkpoints_->best());
  }
  run.validate("val");
  run.test("test");
  const at::Tensor logits = run.predict("test");
  if (!run.trainer().is_global_zero()) return;
  save_logits(options_.predictions(), logits);
  inform("logits of {} rows: {}", logits.size(0), options_.predictions().string());
}

/// Today's tree asks for a key that it does not have, and so cannot run in the original.
void complete(config::Node& config) {
  if (config.find("target_column_name") != nullptr) return;
  config.set("target_column_name", "emotion");
}

std::unique_ptr<train::TrainingArguments> arguments_of(const UnimodalOptions& options) {
  config::Node node = options.training_arguments.node;
  if (node.find("seed") == nullptr) node.set("seed", config::Node(options.seed));
  auto arguments = config::build<train::TrainingArguments>(node, "training_arguments");
  if (arguments->options().evaluation_strategy) {
    inform(
        "note: training_arguments.evaluation_strategy is eval_strategy since Transformers 4.41; "
        "both are taken");
  }
  if (arguments->options().fp16) {
    inform("note: training_arguments.fp16: the processor has bf16, which is taken");
  }
  return arguments;
}

}  // namespace

void run_unimodal(const Request& given) {
  Request request = given;
  complete(request.config.config);
  run_recorded(request, [](const Request& mine, config::Node& config) {
    for_this_build(config.find("trainer"));
    auto options = read_options<UnimodalOptions>(config, "unimodal");
    auto arguments = arguments_of(options);
    options.logger = with_reporters(options.logger, reporters(*arguments, mine.output_dir));
    return std::make_unique<FineTuning>(std::move(options), std::move(arguments),
                                        config.find("trainer"));
  });
}

}  // namespace polyphony::pipeline
