#include <polyphony/metrics/batch.h>

#include <algorithm>

#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::metrics {
namespace {

std::string shape_of(const at::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

at::Tensor plain(const at::Tensor& tensor, at::ScalarType type) {
  const bool ready = tensor.scalar_type() == type && tensor.is_contiguous() && tensor.is_cpu();
  return ready ? tensor : tensor.to(at::kCPU, type).contiguous();
}

[[noreturn]] void wrong_shape(const Batch& batch, const std::string& wanted) {
  throw DataError(fmt::format("metrics: predictions {} do not fit labels {}",
                              shape_of(batch.preds()), shape_of(batch.target())),
                  "give " + wanted);
}

std::int64_t product_from(at::IntArrayRef sizes, std::size_t first) {
  std::int64_t product = 1;
  for (std::size_t i = first; i < sizes.size(); ++i) product *= sizes[i];
  return product;
}

void require_labels(const at::Tensor& target) {
  if (target.scalar_type() == at::kLong) return;
  throw DataError(fmt::format("metrics: labels are numbers with a fraction ({})",
                              toString(target.scalar_type())),
                  "convert the target to int64");
}

/// @param per_row  values of a row
void check_range(const std::int64_t* values, std::int64_t count, std::int64_t per_row,
                 std::int64_t classes, std::optional<std::int64_t> ignore_index, const char* what) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t value = values[i];
    if ((value >= 0 && value < classes) || value == ignore_index) continue;
    throw DataError(
        fmt::format("metrics: row {}: {} {} is out of range: there are {} classes, 0 "
                    "to {}",
                    i / std::max<std::int64_t>(per_row, 1), what, value, classes, classes - 1),
        "check num_classes (num_labels), or name the value in ignore_index if its rows "
        "are not to count");
  }
}

/// Whether every score with a label that counts lies in [0, 1].
template <class Counts>
bool probabilities(const at::Tensor& scores, Counts counts) {
  bool all = true;
  with_scores(scores, [&](auto* values) {
    for (std::int64_t i = 0; all && i < scores.numel(); ++i) {
      all = (values[i] >= 0 && values[i] <= 1) || !counts(i);
    }
  });
  return all;
}

}  // namespace

Batch::Batch(const at::Tensor& preds, const at::Tensor& target)
    : scored_(preds.is_floating_point()) {
  at::ScalarType type = at::kLong;
  if (scored_) type = preds.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  preds_ = plain(preds, type);
  if (target.defined()) {
    target_ = plain(target, target.is_floating_point() ? at::kDouble : at::kLong);
  }
}

MulticlassBatch multiclass_batch(const Batch& batch, std::int64_t classes,
                                 std::optional<std::int64_t> ignore_index) {
  const at::IntArrayRef preds = batch.preds().sizes();
  const at::IntArrayRef target = batch.target().sizes();
  const bool over_classes = preds.size() == target.size() + 1;
  const bool fits = over_classes ? batch.scored() && !target.empty() && preds[0] == target[0] &&
                                       preds[1] == classes && preds.slice(2) == target.slice(1)
                                 : preds == target && !batch.scored() && !target.empty();
  if (!fits) {
    wrong_shape(batch, fmt::format("scores [rows, {}, ...] as float or labels [rows, ...] as "
                                   "integers, and a target [rows, ...]; num_classes is {}",
                                   classes, classes));
  }
  require_labels(batch.target());
  MulticlassBatch view;
  view.preds = batch.preds();
  view.scored = over_classes;
  view.rows = target[0];
  view.classes = classes;
  view.inner = product_from(target, 1);
  view.target = batch.target().data_ptr<std::int64_t>();
  check_range(view.target, view.rows * view.inner, view.inner, classes, ignore_index, "label");
  if (!view.scored) {
    check_range(view.preds.data_ptr<std::int64_t>(), view.rows * view.inner, view.inner, classes,
                std::nullopt, "prediction");
  }
  return view;
}

LabelBatch label_batch(const Batch& batch, std::optional<std::int64_t> labels,
                       std::optional<std::int64_t> ignore_index) {
  const at::IntArrayRef preds = batch.preds().sizes();
  const bool fits = preds == batch.target().sizes() &&
                    (!labels ? !preds.empty() : preds.size() >= 2 && preds[1] == *labels);
  if (!fits) {
    wrong_shape(batch, labels ? fmt::format("predictions and target of one shape [rows, {}, ...]; "
                                            "num_labels is {}",
                                            *labels, *labels)
                              : "predictions and target of one shape [rows, ...]");
  }
  require_labels(batch.target());
  LabelBatch view;
  view.preds = batch.preds();
  view.scored = batch.scored();
  view.rows = preds[0];
  view.labels = labels.value_or(1);
  view.inner = product_from(preds, labels ? 2 : 1);
  view.target = batch.target().data_ptr<std::int64_t>();
  const std::int64_t per_row = view.labels * view.inner;
  check_range(view.target, view.rows * per_row, per_row, 2, ignore_index, "label");
  if (!view.scored) {
    check_range(view.preds.data_ptr<std::int64_t>(), view.rows * per_row, per_row, 2, std::nullopt,
                "prediction");
  }
  return view;
}

at::Tensor softmax_if_needed(const MulticlassBatch& batch,
                             std::optional<std::int64_t> ignore_index) {
  const std::int64_t per_row = batch.classes * batch.inner;
  const bool ready = probabilities(batch.preds, [&](std::int64_t i) {
    return batch.target[i / per_row * batch.inner + i % batch.inner] != ignore_index;
  });
  return ready ? batch.preds : at::softmax(batch.preds, 1);
}

at::Tensor sigmoid_if_needed(const LabelBatch& batch, std::optional<std::int64_t> ignore_index) {
  const bool ready =
      probabilities(batch.preds, [&](std::int64_t i) { return batch.target[i] != ignore_index; });
  return ready ? batch.preds : at::sigmoid(batch.preds);
}

void require_scores(bool scored, const char* metric) {
  if (scored) return;
  throw DataError(fmt::format("{} needs scores, but the predictions are labels", metric),
                  "give probabilities or logits as float");
}

}  // namespace polyphony::metrics
