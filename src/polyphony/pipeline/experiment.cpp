#include <polyphony/pipeline/experiment.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include <fmt/format.h>

#include <polyphony/base/assignment.h>
#include <polyphony/base/csv.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/npy.h>
#include <polyphony/base/signals.h>
#include <polyphony/callbacks/defaults.h>
#include <polyphony/callbacks/model_checkpoint.h>
#include <polyphony/data/embeddable.h>
#include <polyphony/data/loader.h>
#include <polyphony/dist/launch.h>
#include <polyphony/pipeline/embed.h>
#include <polyphony/pipeline/figures.h>
#include <polyphony/pipeline/options.h>
#include <polyphony/pipeline/recording.h>
#include <polyphony/pipeline/resume_point.h>
#include <polyphony/pipeline/row_labels.h>
#include <polyphony/pipeline/run_monitor.h>
#include <polyphony/pipeline/stoppable.h>
#include <polyphony/record/artifact.h>
#include <polyphony/tensor/plain.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/checkpoint.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;
namespace {

/// One experiment from its options to its record.
class Experiment {
 public:
  Experiment(ExperimentOptions options, Recording& recording,
             std::unique_ptr<train::Strategy> strategy, std::unique_ptr<ResumeGuard> guard)
      : options_(std::move(options)),
        recording_(recording),
        guard_(guard.get()),
        trainer_(options_.trainer, recording.directory(),
                 parts(std::move(strategy), std::move(guard))) {
    tensor::set_up_compute(threads(), determinism(options_.trainer.deterministic));
    fmt::print("{}\n", tensor::describe_compute());
    tensor::seed_everything(static_cast<std::uint64_t>(options_.seed));
    task_ = config::build(options_.task, "task");
  }

  void run() {
    switch (options_.mode) {
      case Mode::kTrain:
        train();
        return;
      case Mode::kTest:
        load_weights(weights_to_use());
        test();
        return;
      case Mode::kPredict:
        load_weights(weights_to_use());
        predict(options_.split.predict, "predictions");
        return;
    }
  }

 private:
  /// Callbacks, loggers and what checkpoints keep of the configuration.
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
    auto labels = std::make_unique<RowLabels>();
    labels_ = labels.get();
    parts.callbacks.push_back(std::move(labels));
    parts.loggers = recording_.take_loggers();
    parts.hyper_parameters = tensor::value_of(options_.task.node);
    return parts;
  }

  /// Threads of this process: its share of those of its host.
  int threads() const {
    const auto world = world_from_environment(process_environment());
    if (!world || world->local_size == 1) return options_.num_threads;
    return threads_of_rank(options_.num_threads, world->local_size);
  }

  data::LoaderOptions loading(bool train) const {
    data::LoaderOptions loader;
    loader.batch_size = train ? options_.loading.batch_size : options_.loading.eval_batch_size;
    loader.shuffle = train && options_.trainer.overfit_batches.is_zero();
    loader.workers = options_.loading.workers;
    loader.prefetch = options_.loading.prefetch;
    loader.length_buckets = train ? options_.loading.length_buckets : 0;
    loader.seed = static_cast<std::uint64_t>(options_.seed);
    loader.shard = {trainer_.strategy().rank(), trainer_.strategy().world_size()};
    loader.even_shards = train;
    return loader;
  }

  /// The configured dataset with its `split` set; built once a split, so that what it has decoded
  /// serves training, test and prediction alike.
  const data::Dataset& rows_of(const std::string& split) {
    std::unique_ptr<data::Dataset>& rows = rows_[split];
    if (!rows) {
      config::Node node = options_.dataset.node;
      node.set("split", config::Node(split));
      rows = embedded(config::build<data::Dataset>(node, "dataset"), split);
    }
    return *rows;
  }

  /// Rows whose encoders are frozen get what these make of them, from the cache.
  std::unique_ptr<data::Dataset> embedded(std::unique_ptr<data::Dataset> rows,
                                          const std::string& split) {
    const auto* source = dynamic_cast<const data::Embeddable*>(rows.get());
    if (source == nullptr || source->frozen_inputs().empty()) return rows;
    if (!embedder_) embedder_.emplace(options_.embeddings, trainer_.strategy());
    return embedder_->embed(std::move(rows), split);
  }

  fs::path weights_to_use() const {
    if (options_.ckpt_path) return train::best_checkpoint(*options_.ckpt_path);
    throw ConfigError(fmt::format("ckpt_path: mode={} needs the weights of a trained run",
                                  config::show(options_.mode)),
                      "give ckpt_path=logs/runs/NAME/DATE/TIME/checkpoints/FILE.ckpt");
  }

  void load_weights(const fs::path& path) {
    task_->load_state(train::load_state_dict(path), path.string());
    fmt::print("weights: {}\n", path.string());
  }

  void train() {
    stop_if_asked(trainer_.strategy());
    const data::Dataset& train_rows = rows_of(options_.split.train);
    const data::Dataset& val_rows = rows_of(options_.split.val);
    require_labels(train_rows, options_.split.train);
    require_labels(val_rows, options_.split.val);
    refuse_one_class(train_rows);
    task_->setup(train_rows);
    task_->optimize_with({config::build(options_.optimizer, "optimizer"),
                          config::build(options_.schedule, "schedule")});
    guard_->observe(train_rows, val_rows, options_.dataset.node, trainer_.strategy());
    data::Loader train_loader(train_rows, loading(true));
    data::Loader val_loader(val_rows, loading(false));
    fit(train_loader, val_loader);
    if (!options_.test_after_train) return;
    const std::string best = best_checkpoint(trainer_.callbacks());
    try {
      evaluate(best);
    } catch (const Interrupted& stop) {
      leave_untested(stop.signal_number(), best);
    }
  }

  /// Training is complete; what it made is kept. @throws Interrupted
  [[noreturn]] void leave_untested(int signal_number, fs::path best) const {
    if (best.empty()) best = trainer_.checkpoint_directory() / "last.ckpt";
    if (std::error_code error; !fs::exists(best, error)) {
      throw Interrupted::unsaved(signal_number,
                                 "training is complete, but no checkpoint was kept to test: give "
                                 "`callbacks` a ModelCheckpoint, and train again");
    }
    throw Interrupted::with_remedy(signal_number, best,
                                   "training is complete; to test it, give the same options to "
                                   "`polyphony test`, with " +
                                       assignment("ckpt_path", best.string()));
  }

  /// What follows training. @param best  the checkpoint to take; "": the weights as they are
  void evaluate(const std::string& best) {
    if (!best.empty()) load_weights(best);
    predict(options_.split.val, "val");
    if (rows_of(options_.split.test).unlabelled() == 0) {
      test();
    } else {
      fmt::print("no metrics: rows of split '{}' have no label\n", options_.split.test);
    }
    predict(options_.split.test, "test");
  }

  /// With the original's alerts.
  void fit(data::Loader& train_loader, data::Loader& val_loader) {
    try {
      trainer_.fit(*task_, train_loader, &val_loader, options_.ckpt_path.value_or(""));
    } catch (const Interrupted&) {
      throw;
    } catch (const std::exception&) {
      recording_.alert("Training Error", "An error occurred during training", "ERROR");
      throw;
    }
    recording_.alert("Training Complete", "Training process has successfully finished.", "INFO");
  }

  static std::string best_checkpoint(
      const std::vector<std::unique_ptr<train::Callback>>& callbacks) {
    for (const auto& callback : callbacks) {
      const auto* checkpoint = dynamic_cast<const callbacks::ModelCheckpoint*>(callback.get());
      if (checkpoint != nullptr) return checkpoint->best_path();
    }
    return "";
  }

  static void require_labels(const data::Dataset& rows, const std::string& split) {
    const std::int64_t without = rows.unlabelled();
    if (without == 0) return;
    throw DataError(
        fmt::format("{} of {} rows of split '{}' have no label", without, rows.size(), split),
        "fill the label column (dataset.label_column names it), or use `polyphony "
        "predict`, which needs none");
  }

  /// Of one label a row, two classes differ; of several, a class that some rows have.
  static void refuse_one_class(const data::Dataset& rows) {
    const std::vector<std::int64_t> counts = rows.class_counts();
    const auto tells = [&](std::int64_t count) {
      return count > 0 && (!rows.multi_label() || count < rows.size());
    };
    if (std::count_if(counts.begin(), counts.end(), tells) >= (rows.multi_label() ? 1 : 2)) return;
    throw DataError(
        rows.multi_label()
            ? "every class is that of all training rows, or of none; there is nothing to learn"
            : "the training rows have fewer than two classes; there is nothing to learn",
        "look at the labels with `polyphony data check`, and at split.train");
  }

  void test() {
    const data::Dataset& rows = rows_of(options_.split.test);
    require_labels(rows, options_.split.test);
    task_->setup(rows);
    data::Loader loader(rows, loading(false));
    const train::MetricValues values = trainer_.test(*task_, loader);
    for (const auto& [name, value] : values) fmt::print("{:<24} {:.4f}\n", name, value);
  }

  /// A text option of the dataset.
  std::string dataset_option(const char* option, const char* otherwise) const {
    const config::Node* given = options_.dataset.node.find(option);
    return given != nullptr && given->is_string() ? given->as_string() : otherwise;
  }

  /// The class of the greatest logit; where a row may have several, those of a probability above a
  /// half as a manifest writes them: the separator between them, or alone where there are none.
  std::string predicted(const data::Dataset& rows, std::span<const float> logits) const {
    if (!rows.multi_label()) {
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      return rows.classes()[static_cast<std::size_t>(best)];
    }
    const std::string separator = dataset_option("label_separator", "|");
    std::string names;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] > 0) names += (names.empty() ? "" : separator) + rows.classes()[i];
    }
    return names.empty() ? separator : names;
  }

  /// Logits as .npy and the input's columns with the predicted label as .csv.
  void predict(const std::string& split, const std::string& name) {
    const data::Dataset& rows = rows_of(split);
    data::Loader loader(rows, loading(false));
    const at::Tensor logits = trainer_.predict(*task_, loader).contiguous();
    const std::vector<std::int64_t> labels = labels_->gather(trainer_.strategy());
    if (!trainer_.is_global_zero()) return;
    if (options_.trainer.fast_dev_run.count > 0) {
      fmt::print("fast_dev_run: predictions of {} are not written\n", name);
      return;
    }
    NpyArray array;
    array.shape = logits.sizes().vec();
    array.values.assign(logits.data_ptr<float>(), logits.data_ptr<float>() + logits.numel());
    const fs::path base = recording_.directory() / "predictions" / name;
    save_npy(base.string() + ".npy", array);
    CsvTable table = rows.table();
    table.rows.resize(array.shape.front());  // trainer.limit_predict_batches leaves rows out
    table.header.emplace_back("prediction");
    const auto width = static_cast<std::size_t>(logits.size(1));
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      table.rows[i].push_back(
          predicted(rows, std::span(logits.data_ptr<float>() + i * width, width)));
    }
    write_file(base.string() + ".csv", to_csv(table));
    fmt::print("predictions of {} rows: {}.npy and .csv\n", table.rows.size(), base.string());
    for (const char* ending : {".npy", ".csv"}) {
      recording_.recorder()->prepare(record::file_artifact("predictions", base.string() + ending));
    }
    record_figures(rows, logits, labels, name);
  }

  /// What the predictions of labelled rows look like.
  void record_figures(const data::Dataset& rows, const at::Tensor& logits,
                      const std::vector<std::int64_t>& labels, const std::string& name) {
    const auto unlabelled_row = [](std::int64_t label) { return label < 0; };
    const bool whole = logits.dim() == 2 && logits.size(0) == rows.size() &&
                       static_cast<std::int64_t>(labels.size()) == rows.size() &&
                       logits.size(1) == static_cast<std::int64_t>(rows.classes().size());
    if (!whole || std::any_of(labels.begin(), labels.end(), unlabelled_row)) return;
    Scored scored;
    scored.stage = name;
    scored.classes = rows.classes();
    scored.probabilities =
        softmax_rows({logits.data_ptr<float>(), static_cast<std::size_t>(logits.numel())},
                     scored.classes.size());
    scored.labels = labels;
    scored.table = rows.table();
    scored.folder = fs::path(dataset_option("manifest", "")).parent_path();
    scored.path_column = dataset_option("path_column", "audio_path");
    scored.text_column = dataset_option("text_column", "text");
    for (Figure& figure : figures_of(scored)) {
      recording_.recorder()->prepare(record::figure_artifact(
          figure.kind, figure.name, recording_.directory() / "figures", std::move(figure.data)));
    }
    recording_.recorder()->post(
        [tag = name + "/confusion_matrix", image = confusion_image(scored),
         step = trainer_.global_step()](record::Sink& sink) { sink.log_image(tag, image, step); });
  }

  ExperimentOptions options_;
  Recording& recording_;
  ResumeGuard* guard_;           ///< the trainer's
  RowLabels* labels_ = nullptr;  ///< the trainer's
  train::Trainer trainer_;
  std::unique_ptr<train::Task> task_;
  std::optional<Embedder> embedder_;                            ///< where encoders are frozen
  std::map<std::string, std::unique_ptr<data::Dataset>> rows_;  // by split
};

/// A tree of the original's is for other verbs. @throws ConfigError that names them
void refuse_reference_tree(const config::Node& config, const std::string& verb) {
  if (config.find("task") != nullptr) return;
  for (const auto& [section, other] : {std::pair{"architecture", "multimodal"},
                                       {"architecture_module", "multimodal"},
                                       {"training_arguments", "unimodal"}}) {
    if (config.find(section) == nullptr) continue;
    throw ConfigError(
        fmt::format("polyphony {}: `{}` in the place of `task`: a tree of the "
                    "reference's",
                    verb, section),
        fmt::format("run it with `polyphony {}`: docs/reference-experiment.md", other));
  }
}

std::unique_ptr<ResumeGuard> guard_of(const Request& request, const config::Node& config,
                                      const ResumeOptions& resume) {
  config::Fields fields;
  ExperimentOptions{}.describe(fields);
  return std::make_unique<ResumeGuard>(request, config, fields.docs(), resume);
}

ExperimentOptions options_of(const Request& request, const config::Node& config) {
  refuse_reference_tree(config, request.verb);
  ExperimentOptions options;
  config::Fields fields(config, "polyphony " + request.verb, "");
  options.describe(fields);
  if (request.verb != "run") {
    config::read(config::Node(request.verb), options.mode);  // the verb is the mode
  }
  return options;
}

/// This process's part of the run.
void run_rank(Request request, config::Node config, ExperimentOptions options,
              std::unique_ptr<train::Strategy> strategy) {
  const fs::path directory = strategy->broadcast(request.output_dir.string());
  if (directory != request.output_dir) {
    // Under a launcher of others rank 0 has made the directory; the configuration may name it.
    request.output_dir = directory;
    request.config.hydra.find("runtime")->set("output_dir", directory.string());
    config = resolved(request);
    options = options_of(request, config);
  }
  auto guard = guard_of(request, config, options.resume);
  const auto point = resume_point(request, config, options.trainer, *guard, *strategy);
  const bool dev_run = options.trainer.fast_dev_run.count > 0;
  RunLabel label{options.run_name, options.seed, options.recording,
                 dev_run ? Loggers{} : options.logger};
  if (point) {
    options.ckpt_path = point->checkpoint.string();
    label.rows_before = point->rows;
  }
  Recording recording(request, config, std::move(label), *strategy);
  recording.during([&] {
    Experiment(std::move(options), recording, std::move(strategy), std::move(guard)).run();
  });
}

}  // namespace

void run_experiment(const Request& request) {
  const config::Node config = resolved(request);
  const ExperimentOptions options = options_of(request, config);
  const auto launch = train::processes_to_launch(options.trainer, options.num_threads);
  refuse_before_launch(request, config, options.trainer, *guard_of(request, config, options.resume),
                       launch);
  const auto work = [&] {
    std::unique_ptr<train::Strategy> strategy = train::make_strategy(options.trainer);
    stoppable(strategy->rank(), [&] { run_rank(request, config, options, std::move(strategy)); });
  };
  if (launch) {
    dist::launch(*launch, process_environment(), work);
  } else {
    work();
  }
}

}  // namespace polyphony::pipeline
