#include <polyphony/pipeline/experiment.h>

#include <algorithm>
#include <filesystem>
#include <span>

#include <fmt/format.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/notice.h>
#include <polyphony/callbacks/model_checkpoint.h>
#include <polyphony/pipeline/experiment_run.h>
#include <polyphony/pipeline/figures.h>
#include <polyphony/pipeline/logits.h>
#include <polyphony/record/artifact.h>
#include <polyphony/train/checkpoint.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;
namespace {

/// What `polyphony train`, `test`, `predict` and `run` make of a configuration.
class ConfiguredExperiment : public Experiment {
 public:
  explicit ConfiguredExperiment(ExperimentOptions options) : options_(std::move(options)) {}

  RunOptions& options() override { return options_; }
  std::unique_ptr<train::Task> task() override { return config::build(options_.task, "task"); }
  std::unique_ptr<data::Dataset> rows(const std::string& split) const override {
    config::Node node = options_.dataset.node;
    node.set("split", config::Node(split));
    return config::build<data::Dataset>(node, "dataset");
  }
  void load(data::LoaderOptions& loading, train::Stage stage) const override {
    const bool train = stage == train::Stage::kTrain;
    loading.batch_size = train ? options_.loading.batch_size : options_.loading.eval_batch_size;
    loading.workers = options_.loading.workers;
    loading.prefetch = options_.loading.prefetch;
    loading.length_buckets = train ? options_.loading.length_buckets : 0;
  }
  const config::Node& dataset() const override { return options_.dataset.node; }
  const config::Node& hyper_parameters() const override { return options_.task.node; }

  void run(ExperimentRun& run) override {
    if (options_.mode == train::Stage::kTrain) return train(run);
    run.load_weights(weights_to_use());
    if (options_.mode == train::Stage::kTest) {
      run.test(options_.split.test);
    } else {
      predict(run, options_.split.predict, "predictions");
    }
  }

 private:
  fs::path weights_to_use() const {
    if (options_.ckpt_path) return train::best_checkpoint(*options_.ckpt_path);
    throw ConfigError(fmt::format("ckpt_path: mode={} needs the weights of a trained run",
                                  config::show(options_.mode)),
                      "give ckpt_path=logs/runs/NAME/DATE/TIME/checkpoints/FILE.ckpt");
  }

  void train(ExperimentRun& run) {
    run.task().optimize_with({config::build(options_.optimizer, "optimizer"),
                              config::build(options_.schedule, "schedule")});
    run.fit(options_.split.train, options_.split.val,
            options_.resumed.value_or(options_.ckpt_path.value_or("")));
    if (!options_.test_after_train) return;
    const fs::path best = best_checkpoint(run.trainer());
    try {
      evaluate(run, best);
    } catch (const Interrupted& stop) {
      fs::path kept = best.empty() ? run.trainer().checkpoint_directory() / "last.ckpt" : best;
      if (std::error_code error; !fs::exists(kept, error)) kept.clear();
      run.leave_untested(stop, kept, "give `callbacks` a ModelCheckpoint",
                         "to test it, give the same options to `polyphony test`, with");
    }
  }

  /// What follows training. @param best  the checkpoint to take; empty: the weights as they are
  void evaluate(ExperimentRun& run, const fs::path& best) {
    if (!best.empty()) run.load_weights(best);
    predict(run, options_.split.val, "val");
    if (run.rows(options_.split.test).unlabelled() == 0) {
      run.test(options_.split.test);
    } else {
      inform("no metrics: rows of split '{}' have no label", options_.split.test);
    }
    predict(run, options_.split.test, "test");
  }

  static fs::path best_checkpoint(const train::Trainer& trainer) {
    for (const auto& callback : trainer.callbacks()) {
      const auto* checkpoint = dynamic_cast<const callbacks::ModelCheckpoint*>(callback.get());
      if (checkpoint != nullptr) return checkpoint->best_path();
    }
    return {};
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
  void predict(ExperimentRun& run, const std::string& split, const std::string& name) {
    const data::Dataset& rows = run.rows(split);
    const at::Tensor logits = run.predict(split);
    const std::vector<std::int64_t> labels = run.predicted_labels();
    if (!run.trainer().is_global_zero()) return;
    if (options_.trainer.fast_dev_run.count > 0) {
      inform("fast_dev_run: predictions of {} are not written", name);
      return;
    }
    const fs::path base = run.recording().directory() / "predictions" / name;
    save_logits(base.string() + ".npy", logits);
    CsvTable table = rows.table();
    // trainer.limit_predict_batches leaves rows out
    table.rows.resize(static_cast<std::size_t>(logits.size(0)));
    table.header.emplace_back("prediction");
    const auto width = static_cast<std::size_t>(logits.size(1));
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      table.rows[i].push_back(
          predicted(rows, std::span(logits.data_ptr<float>() + i * width, width)));
    }
    write_file(base.string() + ".csv", to_csv(table));
    inform("predictions of {} rows: {}.npy and .csv", table.rows.size(), base.string());
    record::Recorder& recorder = *run.recording().recorder();
    for (const char* ending : {".npy", ".csv"}) {
      recorder.prepare(record::file_artifact("predictions", base.string() + ending));
    }
    record_figures(run, rows, logits, labels, name);
  }

  /// What the predictions of labelled rows look like.
  void record_figures(ExperimentRun& run, const data::Dataset& rows, const at::Tensor& logits,
                      const std::vector<std::int64_t>& labels, const std::string& name) {
    const auto unlabelled_row = [](std::int64_t label) { return label < 0; };
    const bool whole = logits.dim() == 2 && logits.size(0) == rows.size() &&
                       static_cast<std::int64_t>(labels.size()) == rows.size() &&
                       logits.size(1) == static_cast<std::int64_t>(rows.classes().size());
    if (!whole || std::any_of(labels.begin(), labels.end(), unlabelled_row)) return;
    Scored scored;
    scored.stage = name;
    scored.classes = rows.classes();
    scored.probabilities.assign(logits.data_ptr<float>(),
                                logits.data_ptr<float>() + logits.numel());
    softmax_rows(std::span(scored.probabilities), scored.classes.size());
    scored.labels = labels;
    scored.table = rows.table();
    scored.folder = fs::path(dataset_option("manifest", "")).parent_path();
    scored.path_column = dataset_option("path_column", "audio_path");
    scored.text_column = dataset_option("text_column", "text");
    record::Recorder& recorder = *run.recording().recorder();
    for (Figure& figure : figures_of(scored)) {
      recorder.prepare(record::figure_artifact(figure.kind, figure.name,
                                               run.recording().directory() / "figures",
                                               std::move(figure.data)));
    }
    recorder.post([tag = name + "/confusion_matrix", image = confusion_image(scored),
                   step = run.trainer().global_step()](record::Sink& sink) {
      sink.log_image(tag, image, step);
    });
  }

  ExperimentOptions options_;
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

}  // namespace

void run_experiment(const Request& request) {
  run_recorded(request, [](const Request& mine, const config::Node& config) {
    refuse_reference_tree(config, mine.verb);
    auto options = read_options<ExperimentOptions>(config, mine.verb);
    if (mine.verb != "run") config::read(config::Node(mine.verb), options.mode);  // it is the mode
    return std::make_unique<ConfiguredExperiment>(std::move(options));
  });
}

}  // namespace polyphony::pipeline
