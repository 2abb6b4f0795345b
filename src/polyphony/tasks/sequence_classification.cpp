#include <polyphony/tasks/sequence_classification.h>

#include <torch/nn/modules/normalization.h>

#include <polyphony/config/bind/registry.h>
#include <polyphony/metrics/stat_score_metrics.h>

namespace polyphony::tasks {
namespace {

using Weights = ClassificationLoss::Weights;

/// Accuracy over all rows and macro F1, under the names that Transformers' users give them.
metrics::MetricCollection accuracy_and_f1(int classes) {
  metrics::MulticlassAccuracy::Options accuracy;
  accuracy.num_classes = classes;
  accuracy.average = metrics::Average::kMicro;
  metrics::MulticlassF1Score::Options f1;
  f1.num_classes = classes;
  f1.average = metrics::Average::kMacro;
  return metrics::MetricCollection(std::vector<metrics::NamedMetric>{
      {"accuracy", std::make_shared<metrics::MulticlassAccuracy>(accuracy)},
      {"f1", std::make_shared<metrics::MulticlassF1Score>(f1)}});
}

/// Whether a parameter belongs to a layer norm. Group norms, of HuBERT base's first convolution,
/// are decayed.
bool in_layer_norm(const models::Model& model, const std::string& parameter) {
  const std::string owner = parameter.substr(0, parameter.rfind('.'));
  for (const auto& item : model.named_modules("", /*include_self=*/false)) {
    if (item.key() == owner) return item.value()->name().find("LayerNorm") != std::string::npos;
  }
  return false;
}

}  // namespace

void SequenceClassificationOptions::describe(config::Fields& f) {
  f.required("model", model, "what maps a batch to logits");
  f.required("num_labels", num_labels, "number of classes");
  f.check("num_labels", num_labels >= 2, "at least 2");
  f("label_smoothing_factor", label_smoothing_factor,
    "share of the target spread over all classes, 0 to 1");
  f.check("label_smoothing_factor", label_smoothing_factor >= 0 && label_smoothing_factor < 1,
          "in [0, 1)");
  tasks::describe(f, "class_weights", class_weights, kClassWeightsDoc);
}

SequenceClassification::SequenceClassification(const Options& options)
    : SequenceClassification(options, config::build(options.model, "task.model")) {}

SequenceClassification::SequenceClassification(const Options& options,
                                               std::shared_ptr<models::Model> model)
    : ModuleTask(std::move(model)),
      num_labels_(options.num_labels),
      label_smoothing_(options.label_smoothing_factor),
      loss_({options.num_labels, /*multi_label=*/false, options.class_weights, {}}),
      eval_(accuracy_and_f1(options.num_labels).clone("eval_")),
      test_(accuracy_and_f1(options.num_labels).clone("test_")) {}

void SequenceClassification::setup(const data::Dataset& dataset) {
  loss_.setup(dataset);
  model().check_targets(num_labels_, /*several=*/false);
}

at::Tensor SequenceClassification::training_step(const data::Batch& batch, std::int64_t) {
  const at::Tensor loss =
      loss_(model().forward(batch), batch.at("label"), Weights::kTraining, label_smoothing_);
  train::LogOptions both;
  both.on_step = true;
  both.on_epoch = true;
  log("loss", loss.detach(), both);
  return loss;
}

void SequenceClassification::evaluate(const data::Batch& batch, metrics::MetricCollection& metrics,
                                      const char* prefix) {
  const at::Tensor logits = model().forward(batch);
  metrics.update(logits, batch.at("label"));
  train::LogOptions over_rows;
  over_rows.sync_dist = true;
  log(std::string(prefix) + "loss",
      loss_(logits, batch.at("label"), Weights::kNone, label_smoothing_), over_rows);
}

void SequenceClassification::validation_step(const data::Batch& batch, std::int64_t) {
  evaluate(batch, eval_, "eval_");
}

void SequenceClassification::test_step(const data::Batch& batch, std::int64_t) {
  evaluate(batch, test_, "test_");
}

void SequenceClassification::validation_epoch_end() { log_metrics(eval_); }
void SequenceClassification::test_epoch_end() { log_metrics(test_); }

std::vector<optim::ParamGroup> SequenceClassification::param_groups(double lr,
                                                                    double weight_decay) const {
  optim::ParamGroup decayed;
  optim::ParamGroup plain;
  decayed.lr = plain.lr = lr;
  decayed.weight_decay = weight_decay;
  for (const auto& [name, parameter] : parameters()) {
    const std::string own = name.substr(std::string("model.").size());
    const bool spared = own.find("bias") != std::string::npos || in_layer_norm(model(), own);
    (spared ? plain : decayed).parameters.emplace_back(name, parameter);
  }
  return {decayed, plain};
}

POLYPHONY_REGISTER(train::Task, SequenceClassification, "polyphony.tasks.SequenceClassification",
                   "fine-tuning of a pretrained encoder as Transformers' Trainer does it")

}  // namespace polyphony::tasks
