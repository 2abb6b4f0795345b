#include <polyphony/tasks/classification_loss.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/functional/loss.h>
#include <torch/types.h>

#include <polyphony/base/error.h>

namespace polyphony::tasks {
namespace {

bool are_weights(const ClassWeights& weights) {
  if (weights.kind != ClassWeights::Kind::kGiven) return true;
  const auto usable = [](double weight) { return std::isfinite(weight) && weight >= 0; };
  const auto above = [](double weight) { return weight > 0; };
  return std::all_of(weights.values.begin(), weights.values.end(), usable) &&
         std::any_of(weights.values.begin(), weights.values.end(), above);
}

/// float [classes]; undefined if none are given.
at::Tensor given(const ClassWeights& weights, int classes, const char* option) {
  if (weights.kind != ClassWeights::Kind::kGiven) return {};
  if (std::ssize(weights.values) != classes) {
    throw ConfigError(
        fmt::format("task.{}: {} weights for {} classes", option, weights.values.size(), classes),
        "give one number for each class, in label order, or write balanced");
  }
  return torch::tensor(weights.values, torch::kFloat);
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

void describe(config::Fields& f, const char* name, ClassWeights& weights, const char* doc) {
  f(name, weights, doc);
  f.check(name, are_weights(weights), "finite, not negative, and not all 0");
}

ClassificationLoss::ClassificationLoss(Options options)
    : options_(std::move(options)),
      weights_(given(options_.class_weights, options_.num_labels, "class_weights")),
      positive_(given(options_.pos_weight, options_.num_labels, "pos_weight")) {
  if (options_.pos_weight.kind == ClassWeights::Kind::kNone) return;
  if (!options_.multi_label) {
    throw ConfigError("task.pos_weight: rows of one class each have no such weight",
                      "write class_weights instead, or set multi_label");
  }
  if (options_.class_weights.kind == ClassWeights::Kind::kBalanced) {
    throw ConfigError(
        "task.pos_weight and task.class_weights=balanced both weigh the rows that have a class",
        "leave one of them out");
  }
}

void ClassificationLoss::setup(const data::Dataset& dataset) {
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
  balance(dataset);
}

/// Single labels: rows / (classes * rows of the class), as scikit-learn's "balanced". Several: rows
/// without the class / rows with it, for the rows that have it (the pos_weight of PyTorch). A class
/// that no row has, or every row, weighs 1.
void ClassificationLoss::balance(const data::Dataset& dataset) {
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

at::Tensor ClassificationLoss::operator()(const at::Tensor& logits, const at::Tensor& label,
                                          Weights weights, double smoothing) const {
  namespace functional = torch::nn::functional;
  if (logits.size(1) != options_.num_labels) {
    throw ConfigError(fmt::format("task.model gives {} logits a row, but task.num_labels is {}",
                                  logits.size(1), options_.num_labels),
                      "set the model's num_labels and the task's alike");
  }
  const bool weighted = weights == Weights::kTraining;
  if (options_.multi_label) {
    auto options = functional::BinaryCrossEntropyWithLogitsFuncOptions();
    if (weighted && weights_.defined()) options.weight(weights_);
    if (weighted && positive_.defined()) options.pos_weight(positive_);
    const at::Tensor target = label * (1.0 - smoothing) + smoothing / 2.0;
    return functional::binary_cross_entropy_with_logits(logits, target, options);
  }
  auto options = functional::CrossEntropyFuncOptions().label_smoothing(smoothing);
  if (weighted && weights_.defined()) options.weight(weights_);
  return functional::cross_entropy(logits, label, options);
}

}  // namespace polyphony::tasks
