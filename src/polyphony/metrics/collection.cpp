#include <polyphony/metrics/collection.h>

#include <algorithm>

#include <ATen/core/Tensor.h>
#include <ATen/ops/argmax.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::metrics {

MetricCollection::MetricCollection(MetricCollectionOptions options) : options_(options) { reset(); }

void MetricCollection::update(const at::Tensor& logits, const at::Tensor& target) {
  const at::Tensor guess = at::argmax(logits, 1).contiguous();
  const at::Tensor truth = target.contiguous();
  const std::int64_t classes = options_.num_classes;
  for (std::int64_t i = 0; i < truth.numel(); ++i) {
    const std::int64_t label = truth.data_ptr<std::int64_t>()[i];
    if (label < 0 || label >= classes) {
      throw DataError(fmt::format("label {} is out of range: there are {} classes", label, classes),
                      "give every row a label of 0 to classes - 1, and check num_labels");
    }
    ++counts_[static_cast<std::size_t>(label * classes + guess.data_ptr<std::int64_t>()[i])];
  }
}

std::vector<std::pair<std::string, double>> MetricCollection::compute(
    const std::string& prefix) const {
  return {{prefix + "MulticlassF1Score", f1(counts_, options_.average, options_.absent)},
          {prefix + "MulticlassAccuracy", accuracy(counts_, options_.average, options_.absent)}};
}

void MetricCollection::reset() {
  counts_.assign(static_cast<std::size_t>(options_.num_classes) *
                     static_cast<std::size_t>(options_.num_classes),
                 0);
}

void MetricCollection::load_state(const std::vector<std::int64_t>& counts) {
  if (counts.size() != counts_.size()) {
    throw DataError(
        fmt::format("the metric's state has {} counts, not {}", counts.size(), counts_.size()),
        "resume with the configuration that the checkpoint was saved with");
  }
  counts_ = counts;
}

}  // namespace polyphony::metrics
