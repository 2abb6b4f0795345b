#include <polyphony/tasks/classification.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <torch/nn/functional/loss.h>

#include <polyphony/base/error.h>
#include <polyphony/base/table.h>
#include <polyphony/config/registry.h>
#include <polyphony/metrics/stat_score_metrics.h>
#include <polyphony/models/sequence_classifier.h>
#include <polyphony/train/checkpoint.h>
#include <polyphony/train/trainer.h>

namespace polyphony::tasks {
namespace {

using train::NamedTensors;
using train::Stage;

constexpr int kStages = 4;

std::size_t slot(Stage stage) { return static_cast<std::size_t>(stage); }

std::string names_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  const std::size_t shown = std::min(names.size(), kShown);
  return fmt::format("{}{}",
                     fmt::join(names.begin(), names.begin() + static_cast<long>(shown), ", "),
                     names.size() > shown ? fmt::format(" and {} more", names.size() - shown) : "");
}

/// Copies tensors by name into a module's state. @throws DataError where the two differ
void copy_state(const NamedTensors& from, const NamedTensors& into, const std::string& source) {
  const torch::NoGradGuard no_grad;
  std::vector<std::string> missing;
  std::vector<std::string> unexpected;
  std::vector<std::string> misshapen;
  for (const auto& [name, target] : into) {
    const auto found = std::find_if(
        from.begin(), from.end(), [&name = name](const auto& item) { return item.first == name; });
    if (found == from.end()) {
      // A number that fairseq's table never reads; not all weights hold it.
      if (!name.ends_with("._float_tensor")) missing.push_back(name);
    } else if (found->second.sizes() != target.sizes()) {
      misshapen.push_back(fmt::format("{} [{}] here [{}]", name,
                                      fmt::join(found->second.sizes(), ","),
                                      fmt::join(target.sizes(), ",")));
    } else {
      at::Tensor(target).copy_(found->second);
    }
  }
  for (const auto& [name, tensor] : from) {
    const bool known = std::any_of(into.begin(), into.end(),
                                   [&name = name](const auto& item) { return item.first == name; });
    if (!known) unexpected.push_back(name);
  }
  if (missing.empty() && unexpected.empty() && misshapen.empty()) return;
  throw DataError(
      fmt::format(
          "{}: the weights do not fit this model: missing: {}; unexpected: {}; other shape: {}",
          source, names_of(missing), names_of(unexpected), names_of(misshapen)),
      "use the configuration that the checkpoint was trained with (it is in its run's .hydra/)");
}

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

constexpr const char* kWeightsRule = "finite, not negative, and not all 0";

bool are_weights(const ClassWeights& weights) {
  if (weights.kind != ClassWeights::Kind::kGiven) return true;
  const auto usable = [](double weight) { return std::isfinite(weight) && weight >= 0; };
  const auto above = [](double weight) { return weight > 0; };
  return std::all_of(weights.values.begin(), weights.values.end(), usable) &&
         std::any_of(weights.values.begin(), weights.values.end(), above);
}

/// float [classes]; undefined where none are given.
at::Tensor given(const ClassWeights& weights, int classes, const char* option) {
  if (weights.kind != ClassWeights::Kind::kGiven) return {};
  if (std::ssize(weights.values) != classes) {
    throw ConfigError(
        fmt::format("task.{}: {} weights for {} classes", option, weights.values.size(), classes),
        "give one number for each class, in label order, or write balanced");
  }
  return torch::tensor(weights.values, torch::kFloat);
}

void refuse_contradictions(const ClassificationOptions& options) {
  if (options.pos_weight.kind == ClassWeights::Kind::kNone) return;
  if (!options.multi_label) {
    throw ConfigError("task.pos_weight: rows of one class each have no such weight",
                      "write class_weights instead, or set multi_label");
  }
  if (options.class_weights.kind == ClassWeights::Kind::kBalanced) {
    throw ConfigError(
        "task.pos_weight and task.class_weights=balanced both weigh the rows that have a class",
        "leave one of them out");
  }
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

/// Weights of `encoder` in a single-modality checkpoint, for the submodule `name` of a fusion
/// model.
void take_encoder(models::Model& model, const std::string& name, const std::string& checkpoint) {
  NamedTensors from;
  const std::string head = "model.encoder.";
  for (const auto& [key, tensor] : train::load_state_dict(train::best_checkpoint(checkpoint))) {
    if (key.starts_with(head)) from.emplace_back(name + "." + key.substr(head.size()), tensor);
  }
  NamedTensors into;
  const auto belongs = [&](const std::string& key) { return key.starts_with(name + "."); };
  for (const auto& item : model.named_parameters()) {
    if (belongs(item.key())) into.emplace_back(item.key(), item.value());
  }
  for (const auto& item : model.named_buffers()) {
    if (belongs(item.key())) into.emplace_back(item.key(), item.value());
  }
  if (into.empty()) {
    throw ConfigError(fmt::format("task.init_from.{}: the model has no part of that name", name),
                      "name a child of the model, e.g. audio or text");
  }
  copy_state(from, into, checkpoint);
}

}  // namespace

bool read(const config::Node& node, ClassWeights& weights) {
  weights = {};
  if (node.is_null()) return true;
  if (node.is_list()) {
    weights.kind = ClassWeights::Kind::kGiven;
    return read(node, weights.values);
  }
  if (!node.is_string()) return false;
  if (node.as_string() == "balanced") weights.kind = ClassWeights::Kind::kBalanced;
  return node.as_string() == "balanced" || node.as_string() == "none";
}

std::string show(const ClassWeights& weights) {
  if (weights.kind == ClassWeights::Kind::kGiven) return config::show(weights.values);
  return weights.kind == ClassWeights::Kind::kBalanced ? "balanced" : "none";
}

void ClassificationOptions::describe(config::Fields& f) {
  f.required("model", model, "what maps a batch to logits");
  f.required("num_labels", num_labels, "number of classes");
  f.check("num_labels", num_labels >= 2, "at least 2");
  f("average", average, "how classes are averaged in the logged metrics, where none are named");
  f("metrics", metrics, "what is logged of each epoch; null: F1 and accuracy");
  f("class_weights", class_weights,
    "of the classes in the training loss: balanced: by inverse frequency in the training data; or "
    "a list in label order, CrossEntropyLoss's weight");
  f.check("class_weights", are_weights(class_weights), kWeightsRule);
  f("label_smoothing", label_smoothing, "share of the target spread over all classes, 0 to 1");
  f.check("label_smoothing", label_smoothing >= 0 && label_smoothing < 1, "in [0, 1)");
  f("multi_label", multi_label,
    "rows may have several classes: binary cross-entropy of each; the dataset says so too");
  f("pos_weight", pos_weight,
    "with multi_label: of the rows that have a class against those that do not; balanced: rows "
    "without / rows with it in the training data; or a list, BCEWithLogitsLoss's pos_weight");
  f.check("pos_weight", are_weights(pos_weight), kWeightsRule);
  f("init_from", init_from,
    "checkpoints whose encoder starts a part of the model, e.g. audio: PATH");
  f("freeze", freeze, "parts of the model that are not trained");
}

Classification::Classification(Options options) : options_(std::move(options)) {
  refuse_contradictions(options_);
  weights_ = given(options_.class_weights, options_.num_labels, "class_weights");
  positive_ = given(options_.pos_weight, options_.num_labels, "pos_weight");
  model_ = config::build(options_.model, "task.model");
  for (const auto& [name, checkpoint] : options_.init_from) take_encoder(*model_, name, checkpoint);
  for (const std::string& name : options_.freeze) {
    bool found = false;
    for (auto& item : model_->named_parameters()) {
      if (!item.key().starts_with(name + ".")) continue;
      item.value().set_requires_grad(false);
      found = true;
    }
    if (!found) {
      throw ConfigError(fmt::format("task.freeze: the model has no part '{}'", name),
                        "name a child of the model, e.g. audio or text");
    }
  }
  const metrics::MetricCollection metrics = options_.metrics.is_set()
                                                ? *config::build(options_.metrics, "task.metrics")
                                                : f1_and_accuracy(options_);
  try_metrics(metrics.clone(""), options_);
  for (int i = 0; i < kStages; ++i) {
    metrics_.push_back(metrics.clone(train::prefix(static_cast<Stage>(i))));
  }
}

void Classification::setup(const data::Dataset& dataset) {
  const std::size_t classes = dataset.classes().size();
  if (classes != static_cast<std::size_t>(options_.num_labels)) {
    throw ConfigError(fmt::format("task.num_labels is {}, but the dataset has {} classes: {}",
                                  options_.num_labels, classes, fmt::join(dataset.classes(), ", ")),
                      fmt::format("write num_labels={} or mend dataset.classes", classes));
  }
  if (dataset.multi_label() != options_.multi_label) {
    throw ConfigError(
        fmt::format("task.multi_label is {}, but the dataset's rows have {}", options_.multi_label,
                    dataset.multi_label() ? "several classes" : "one class each"),
        "set task.multi_label and dataset.multi_label alike");
  }
  const auto* pretrained = dynamic_cast<const models::SequenceClassifier*>(model_.get());
  if (pretrained != nullptr) pretrained->check_targets(options_.num_labels, options_.multi_label);
  weigh(dataset);
}

/// Single labels: rows / (classes * rows of the class), as scikit-learn's "balanced". Several: rows
/// without the class / rows with it, for the rows that have it (the pos_weight of PyTorch). A class
/// that no row has, or every row, weighs 1.
void Classification::weigh(const data::Dataset& dataset) {
  const bool balanced = options_.class_weights.kind == ClassWeights::Kind::kBalanced ||
                        options_.pos_weight.kind == ClassWeights::Kind::kBalanced;
  if (!balanced) return;
  const std::vector<std::int64_t> counts = dataset.class_counts();
  const auto labelled = static_cast<double>(dataset.size() - dataset.unlabelled());
  at::Tensor weights = torch::ones({options_.num_labels});
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto count = static_cast<double>(counts[i]);
    const double weight = options_.multi_label
                              ? (labelled - count) / count
                              : labelled / (static_cast<double>(options_.num_labels) * count);
    const bool some = counts[i] > 0 && weight > 0;
    if (some) weights.data_ptr<float>()[i] = static_cast<float>(weight);
  }
  (options_.multi_label ? positive_ : weights_) = weights;
}

at::Tensor Classification::training_loss(const at::Tensor& logits, const at::Tensor& label,
                                         bool train) const {
  namespace functional = torch::nn::functional;
  const double smoothing = train ? options_.label_smoothing : 0.0;
  if (options_.multi_label) {
    auto options = functional::BinaryCrossEntropyWithLogitsFuncOptions();
    if (train && weights_.defined()) options.weight(weights_);
    if (train && positive_.defined()) options.pos_weight(positive_);
    const at::Tensor target = label * (1.0 - smoothing) + smoothing / 2.0;
    return functional::binary_cross_entropy_with_logits(logits, target, options);
  }
  auto options = functional::CrossEntropyFuncOptions().label_smoothing(smoothing);
  if (train && weights_.defined()) options.weight(weights_);
  return functional::cross_entropy(logits, label, options);
}

at::Tensor Classification::step(const data::Batch& batch, Stage stage) {
  const at::Tensor logits = model_->forward(batch).to(torch::kFloat);
  if (logits.size(1) != options_.num_labels) {
    throw ConfigError(fmt::format("task.model gives {} logits a row, but task.num_labels is {}",
                                  logits.size(1), options_.num_labels),
                      "set the model's num_labels and the task's alike");
  }
  const at::Tensor& label = batch.at("label");
  const at::Tensor loss = training_loss(logits, label, stage == Stage::kTrain);
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

at::Tensor Classification::predict_step(const data::Batch& batch, std::int64_t) {
  return model_->forward(batch);
}

metrics::Exchange Classification::over_processes() const {
  train::Strategy& strategy = trainer()->strategy();
  return {[&strategy](std::span<double> sums) { strategy.reduce(sums, train::ReduceFx::kSum); },
          [&strategy](std::span<const double> mine) { return strategy.gather_numbers(mine); }};
}

void Classification::log_metrics(Stage stage) {
  metrics::MetricCollection& metrics = metrics_[slot(stage)];
  log_dict(metrics::scalars(metrics.compute(metrics.synced(over_processes()))));
  metrics.reset();
}

void Classification::training_epoch_end() { log_metrics(Stage::kTrain); }
void Classification::validation_epoch_end() { log_metrics(Stage::kValidate); }
void Classification::test_epoch_end() { log_metrics(Stage::kTest); }

// An evaluation that an error ended has left counts behind.
void Classification::on_validation_epoch_start() { metrics_[slot(Stage::kValidate)].reset(); }
void Classification::on_test_epoch_start() { metrics_[slot(Stage::kTest)].reset(); }

NamedTensors Classification::parameters() const {
  NamedTensors parameters;
  for (const auto& item : model_->named_parameters()) {
    if (item.value().requires_grad()) parameters.emplace_back("model." + item.key(), item.value());
  }
  return parameters;
}

NamedTensors Classification::state() const {
  NamedTensors state;
  for (const auto& item : model_->named_parameters()) {
    state.emplace_back("model." + item.key(), item.value().detach());
  }
  for (const auto& item : model_->named_buffers())
    state.emplace_back("model." + item.key(), item.value());
  return state;
}

void Classification::load_state(const NamedTensors& from, const std::string& source) {
  copy_state(from, state(), source);
}

void Classification::set_training(bool on) { model_->train(on); }

tensor::Value Classification::metric_state() const { return metric_snapshot()(); }

std::function<tensor::Value()> Classification::metric_snapshot() const {
  return [state = metrics_[slot(Stage::kTrain)].state()] {
    tensor::Value numbers = tensor::Value::list();
    for (const double number : state.flat()) numbers.append(tensor::Value(number));
    return numbers;
  };
}

namespace {

metrics::State state_of(const tensor::Value& numbers) {
  std::vector<double> flat;
  for (const tensor::Value& number : numbers.items()) flat.push_back(number.as_float());
  return metrics::State::from_flat(flat);
}

}  // namespace

void Classification::load_metric_state(const tensor::Value& state) {
  metrics_[slot(Stage::kTrain)].load_state(state_of(state));
}

bool Classification::merge_metric_state(const tensor::Value& other) {
  metrics_[slot(Stage::kTrain)].merge(state_of(other));
  return true;
}

namespace {

/// How deep a module lies: "" is 0, "encoder" 1, "encoder.conv" 2.
int depth_of(const std::string& name) {
  return name.empty() ? 0 : 1 + static_cast<int>(std::count(name.begin(), name.end(), '.'));
}

std::int64_t parameters_of(const torch::nn::Module& module) {
  std::int64_t count = 0;
  for (const at::Tensor& parameter : module.parameters()) count += parameter.numel();
  return count;
}

}  // namespace

std::string Classification::summary(int max_depth) const {
  Table table({"module", "shapes", "parameters"});
  for (const auto& item : model_->named_modules("", /*include_self=*/false)) {
    if (max_depth >= 0 && depth_of(item.key()) > max_depth) continue;
    const std::int64_t count = parameters_of(*item.value());
    std::vector<std::string> shapes;
    for (const auto& own : item.value()->named_parameters(/*recurse=*/false)) {
      shapes.push_back(fmt::format("{}[{}]", own.key(), fmt::join(own.value().sizes(), ",")));
    }
    if (count > 0)
      table.add_row({item.key(), fmt::format("{}", fmt::join(shapes, " ")), fmt::to_string(count)});
  }
  std::int64_t trained = 0;
  for (const at::Tensor& parameter : model_->parameters()) {
    if (parameter.requires_grad()) trained += parameter.numel();
  }
  const std::int64_t all = parameters_of(*model_);
  constexpr double kMegabyte = 1e6;
  return table.to_text() + fmt::format("{} parameters ({:.1f} MB), {} trained, {} frozen\n", all,
                                       4 * static_cast<double>(all) / kMegabyte, trained,
                                       all - trained);
}

POLYPHONY_REGISTER(train::Task, Classification, "polyphony.tasks.Classification",
                   "cross-entropy over single labels, or of each class where rows have several, "
                   "with F1 and accuracy over each epoch")

}  // namespace polyphony::tasks
