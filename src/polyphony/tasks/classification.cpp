#include <polyphony/tasks/classification.h>

#include <fmt/format.h>
#include <torch/types.h>

#include <polyphony/base/error.h>
#include <polyphony/base/terminal/table.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/metrics/stat_score_metrics.h>

namespace polyphony::tasks {
namespace {

using train::Stage;

constexpr int kStages = 4;

std::size_t slot(Stage stage) { return static_cast<std::size_t>(stage); }

metrics::MetricCollection f1_and_accuracy(const ClassificationOptions& task) {
  const auto set = [&](auto options) {
    (task.multi_label ? options.num_labels : options.num_classes) = task.num_labels;
    options.average = task.average;
    options.torchmetrics = metrics::TorchMetrics::k1_4_3;
    return options;
  };
  using Metrics = std::vector<std::shared_ptr<const metrics::Metric>>;
  if (task.multi_label) {
    using F1 = metrics::MultilabelF1Score;
    using Accuracy = metrics::MultilabelAccuracy;
    return metrics::MetricCollection(Metrics{std::make_shared<F1>(set(F1::Options())),
                                             std::make_shared<Accuracy>(set(Accuracy::Options()))});
  }
  return metrics::MetricCollection(Metrics{
      std::make_shared<metrics::MulticlassF1Score>(set(metrics::MulticlassF1Score::Options())),
      std::make_shared<metrics::MulticlassAccuracy>(set(metrics::MulticlassAccuracy::Options()))});
}

/// Lets the metrics see a row, so that those of other rows are refused before the training.
void try_metrics(metrics::MetricCollection metrics, const ClassificationOptions& task) {
  const at::Tensor scores = torch::zeros({1, task.num_labels});
  const at::Tensor label = torch::zeros({1}, torch::kLong);
  try {
    metrics.update(scores, task.multi_label ? scores.to(torch::kLong) : label);
  } catch (const Error& error) {
    throw ConfigError(
        fmt::format("task.metrics do not fit {} classes of which a row has {}: {}", task.num_labels,
                    task.multi_label ? "any number" : "one", error.what()),
        task.multi_label ? "use metrics of several classes a row with num_labels=${num_labels}, as "
                           "MultilabelF1Score (metrics@task.metrics=multilabel)"
                         : "use metrics of one class a row with num_classes=${num_labels}, as "
                           "MulticlassF1Score (metrics@task.metrics=classification)");
  }
}

metrics::State state_of(const tensor::Value& numbers) {
  std::vector<double> flat;
  for (const tensor::Value& number : numbers.items()) flat.push_back(number.as_float());
  return metrics::State::from_flat(flat);
}

}  // namespace

void ClassificationOptions::describe(config::Fields& f) {
  f.required("model", model, "what maps a batch to logits");
  f.required("num_labels", num_labels, "number of classes");
  f.check("num_labels", num_labels >= 2, "at least 2");
  f("average", average, "how classes are averaged in the logged metrics, where none are named");
  f("metrics", metrics, "what is logged of each epoch; null: F1 and accuracy");
  tasks::describe(f, "class_weights", class_weights, kClassWeightsDoc);
  f("label_smoothing", label_smoothing, "share of the target spread over all classes, 0 to 1");
  f.check("label_smoothing", label_smoothing >= 0 && label_smoothing < 1, "in [0, 1)");
  f("multi_label", multi_label,
    "rows may have several classes: binary cross-entropy of each; the dataset says so too");
  tasks::describe(
      f, "pos_weight", pos_weight,
      "with multi_label: of the rows that have a class against those that do not; balanced: rows "
      "without / rows with it in the training data; or a list, BCEWithLogitsLoss's pos_weight");
  f("init_from", init_from,
    "checkpoints whose encoder starts a part of the model, e.g. audio: PATH");
  f("freeze", freeze, "parts of the model that are not trained");
}

Classification::Classification(Options options)
    : ModuleTask(config::build(options.model, "task.model")),
      options_(std::move(options)),
      loss_({options_.num_labels, options_.multi_label, options_.class_weights,
             options_.pos_weight}) {
  init_from(options_.init_from);
  freeze(options_.freeze);
  const metrics::MetricCollection metrics = options_.metrics.is_set()
                                                ? *config::build(options_.metrics, "task.metrics")
                                                : f1_and_accuracy(options_);
  try_metrics(metrics.clone(""), options_);
  for (int i = 0; i < kStages; ++i) {
    metrics_.push_back(metrics.clone(train::prefix(static_cast<Stage>(i))));
  }
}

void Classification::setup(const data::Dataset& dataset) {
  loss_.setup(dataset);
  model().check_targets(options_.num_labels, options_.multi_label);
}

at::Tensor Classification::step(const data::Batch& batch, Stage stage) {
  const bool train = stage == Stage::kTrain;
  const at::Tensor logits = model().forward(batch).to(torch::kFloat);
  const at::Tensor& label = batch.at("label");
  using Weights = ClassificationLoss::Weights;
  const at::Tensor loss = loss_(logits, label, train ? Weights::kTraining : Weights::kNone,
                                train ? options_.label_smoothing : 0.0);
  // Of logits that all lie in [0, 1] a multilabel metric would take them for probabilities.
  if (options_.multi_label) {
    metrics_[slot(stage)].update(logits.detach().sigmoid(), label.to(torch::kLong));
  } else {
    metrics_[slot(stage)].update(logits.detach(), label);
  }
  train::LogOptions whole_epoch;
  whole_epoch.on_step = false;
  whole_epoch.on_epoch = true;
  whole_epoch.sync_dist = true;
  log(std::string(train::prefix(stage)) + "loss", loss.detach(), whole_epoch);
  return loss;
}

at::Tensor Classification::training_step(const data::Batch& batch, std::int64_t) {
  at::Tensor loss = step(batch, Stage::kTrain);
  log("train_loss_step", loss.detach());
  return loss;
}

void Classification::validation_step(const data::Batch& batch, std::int64_t) {
  step(batch, Stage::kValidate);
}

void Classification::test_step(const data::Batch& batch, std::int64_t) {
  step(batch, Stage::kTest);
}

void Classification::training_epoch_end() { log_metrics(metrics_[slot(Stage::kTrain)]); }
void Classification::validation_epoch_end() { log_metrics(metrics_[slot(Stage::kValidate)]); }
void Classification::test_epoch_end() { log_metrics(metrics_[slot(Stage::kTest)]); }

// An evaluation that an error ended has left counts behind.
void Classification::on_validation_epoch_start() { metrics_[slot(Stage::kValidate)].reset(); }
void Classification::on_test_epoch_start() { metrics_[slot(Stage::kTest)].reset(); }

tensor::Value Classification::metric_state() const { return metric_snapshot()(); }

std::function<tensor::Value()> Classification::metric_snapshot() const {
  return [state = metrics_[slot(Stage::kTrain)].state()] {
    tensor::Value numbers = tensor::Value::list();
    for (const double number : state.flat()) numbers.append(tensor::Value(number));
    return numbers;
  };
}

void Classification::load_metric_state(const tensor::Value& state) {
  metrics_[slot(Stage::kTrain)].load_state(state_of(state));
}

bool Classification::merge_metric_state(const tensor::Value& other) {
  metrics_[slot(Stage::kTrain)].merge(state_of(other));
  return true;
}

POLYPHONY_REGISTER(train::Task, Classification, "polyphony.tasks.Classification",
                   "cross-entropy over single labels, or of each class where rows have several, "
                   "with F1 and accuracy over each epoch")

}  // namespace polyphony::tasks
