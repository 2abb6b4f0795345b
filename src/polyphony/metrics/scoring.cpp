#include <polyphony/metrics/scoring.h>

#include <algorithm>
#include <cmath>

#include <ATen/core/Tensor.h>
#include <ATen/ops/linspace.h>
#include <fmt/format.h>

#include <polyphony/metrics/batch.h>
#include <polyphony/metrics/calibration.h>

namespace polyphony::metrics {
namespace {

/// Evenly spaced over [0, 1], with the rounding of torch.linspace.
std::vector<float> spread(std::int64_t count) {
  const at::Tensor line = at::linspace(0, 1, count, at::kFloat);
  return {line.data_ptr<float>(), line.data_ptr<float>() + count};
}

std::string text(std::optional<std::int64_t> ignore_index) {
  return ignore_index ? std::to_string(*ignore_index) : "-";
}

/// Scores as probabilities, read one question at a time.
struct Probabilities {
  at::Tensor scores;
  std::int64_t rows = 0;
  std::int64_t classes = 1;
  std::int64_t inner = 1;
  const std::int64_t* target = nullptr;
  bool per_class = false;  ///< a label for each class, not one for all

  std::int64_t label(std::int64_t row, std::int64_t c, std::int64_t position) const {
    return per_class ? target[(row * classes + c) * inner + position]
                     : target[row * inner + position];
  }
};

Probabilities probabilities(const Batch& batch, const ScoreOptions& options, const char* metric) {
  require_scores(batch.scored(), metric);
  if (options.task == Task::kMulticlass) {
    const MulticlassBatch view = multiclass_batch(batch, options.classes, options.ignore_index);
    return {softmax_if_needed(view, options.ignore_index),
            view.rows,
            view.classes,
            view.inner,
            view.target,
            false};
  }
  const bool binary = options.task == Task::kBinary;
  const LabelBatch view = label_batch(batch, binary ? std::nullopt : std::optional(options.classes),
                                      options.ignore_index);
  return {sigmoid_if_needed(view, binary ? options.ignore_index : std::nullopt),
          view.rows,
          view.labels,
          view.inner,
          view.target,
          true};
}

class Rows : public Accumulator {
 public:
  explicit Rows(const ScoreOptions& options) : options_(options) {}

  std::string key() const override {
    return fmt::format("scores {} {} {}", config::show(options_.task), options_.classes,
                       text(options_.ignore_index));
  }
  std::size_t sums() const override { return 0; }
  bool keeps_rows() const override { return true; }

  void update(const Batch& batch, Slot slot) const override {
    const Probabilities all = probabilities(batch, options_, "a curve");
    with_scores(all.scores, [&](auto* scores) {
      for (std::int64_t row = 0; row < all.rows; ++row) {
        for (std::int64_t position = 0; position < all.inner; ++position) {
          append(all, scores, row, position, slot.rows);
        }
      }
    });
  }

 private:
  template <class T>
  void append(const Probabilities& all, const T* scores, std::int64_t row, std::int64_t position,
              std::vector<double>& rows) const {
    const std::int64_t labels = all.per_class ? all.classes : 1;
    bool counts = false;
    for (std::int64_t c = 0; c < labels; ++c) {
      counts = counts || all.label(row, c, position) != options_.ignore_index;
    }
    if (!counts) return;
    for (std::int64_t c = 0; c < all.classes; ++c) {
      rows.push_back(static_cast<double>(scores[(row * all.classes + c) * all.inner + position]));
    }
    for (std::int64_t c = 0; c < labels; ++c) {
      rows.push_back(static_cast<double>(all.label(row, c, position)));
    }
  }

  ScoreOptions options_;
};

class Histogram : public Accumulator {
 public:
  explicit Histogram(const ScoreOptions& options)
      : options_(options), thresholds_(options.thresholds.list()) {}

  std::string key() const override {
    return fmt::format("histogram {} {} {} {}", config::show(options_.task), options_.classes,
                       text(options_.ignore_index), fmt::join(thresholds_, ","));
  }
  std::size_t sums() const override {
    return static_cast<std::size_t>(options_.classes) * 2 * (thresholds_.size() + 1);
  }

  void update(const Batch& batch, Slot slot) const override {
    const Probabilities all = probabilities(batch, options_, "a curve");
    with_scores(all.scores, [&](auto* scores) {
      std::int64_t i = 0;
      for (std::int64_t row = 0; row < all.rows; ++row) {
        for (std::int64_t c = 0; c < all.classes; ++c) {
          for (std::int64_t position = 0; position < all.inner; ++position, ++i) {
            const std::int64_t label = all.label(row, c, position);
            if (label == options_.ignore_index) continue;
            const bool positive = label == (all.per_class ? 1 : c);
            const std::size_t side = static_cast<std::size_t>(2 * c) + (positive ? 1U : 0U);
            slot.sums[side * (thresholds_.size() + 1) + reached(scores[i])] += 1;
          }
        }
      }
    });
  }

 private:
  template <class T>
  std::size_t reached(T score) const {
    if (score != score) return 0;
    return static_cast<std::size_t>(
        std::upper_bound(thresholds_.begin(), thresholds_.end(), score) - thresholds_.begin());
  }

  ScoreOptions options_;
  std::vector<float> thresholds_;
};

class Confidence : public Accumulator {
 public:
  explicit Confidence(const ConfidenceOptions& options)
      : options_(options), boundaries_(spread(options.bins + 1)) {}

  std::string key() const override {
    return fmt::format("confidence {} {} {} {} {}", config::show(options_.task), options_.classes,
                       options_.bins, config::show(options_.rules), text(options_.ignore_index));
  }
  std::size_t sums() const override { return boundaries_.size() * 3; }

  void update(const Batch& batch, Slot slot) const override {
    const ScoreOptions scores{options_.task, options_.classes, {}, options_.ignore_index};
    const Probabilities all = probabilities(batch, scores, "CalibrationError");
    with_scores(all.scores, [&](auto* values) {
      for (std::int64_t row = 0; row < all.rows; ++row) {
        for (std::int64_t position = 0; position < all.inner; ++position) {
          const std::int64_t label = all.label(row, 0, position);
          if (label == options_.ignore_index) continue;
          const auto* first = values + row * all.classes * all.inner + position;
          const std::int64_t guess = argmax(first, all.classes, all.inner);
          const auto confidence = static_cast<float>(first[guess * all.inner]);
          double* bin = slot.sums.data() + 3 * bin_of(confidence);
          bin[0] += 1;
          bin[1] += static_cast<double>(confidence);
          bin[2] += options_.task == Task::kBinary ? static_cast<double>(label)
                                                   : (guess == label ? 1.0 : 0.0);
        }
      }
    });
  }

 private:
  std::size_t bin_of(float confidence) const {
    const auto first = boundaries_.begin();
    const auto upper = options_.rules == TorchMetrics::k0_11_4
                           ? std::lower_bound(first, boundaries_.end(), confidence)
                           : std::upper_bound(first, boundaries_.end(), confidence);
    return static_cast<std::size_t>(std::max<std::ptrdiff_t>(upper - first - 1, 0));
  }

  ConfidenceOptions options_;
  std::vector<float> boundaries_;
};

}  // namespace

std::vector<float> Thresholds::list() const {
  if (count) return spread(*count);
  return {values.begin(), values.end()};
}

bool read(const config::Node& node, Thresholds& value) {
  value = {};
  if (node.is_null()) return true;
  std::int64_t count = 0;
  if (config::read(node, count)) {
    value.count = count;
    return count >= 2;
  }
  if (!config::read(node, value.values) || value.values.empty()) return false;
  return std::is_sorted(value.values.begin(), value.values.end()) && value.values.front() >= 0 &&
         value.values.back() <= 1;
}

std::string show(const Thresholds& value) {
  if (value.count) return config::show(*value.count);
  return value.values.empty() ? "null" : config::show(value.values);
}

std::shared_ptr<const Accumulator> score_rows(const ScoreOptions& options) {
  if (options.thresholds.exact()) return std::make_shared<Rows>(options);
  return std::make_shared<Histogram>(options);
}

std::shared_ptr<const Accumulator> confidence_bins(const ConfidenceOptions& options) {
  return std::make_shared<Confidence>(options);
}

namespace {

/// Scores and answers of one class, without the rows that are ignored.
struct Question {
  std::vector<double> scores;
  std::vector<std::uint8_t> positive;
};

void add_question(const ScoreOptions& options, std::span<const double> rows, std::size_t c,
                  Question& question) {
  const auto classes = static_cast<std::size_t>(options.classes);
  const bool per_class = options.task != Task::kMulticlass;
  const std::size_t width = classes + (per_class ? classes : 1);
  for (std::size_t at = 0; at < rows.size(); at += width) {
    const double label = rows[at + classes + (per_class ? c : 0)];
    if (options.ignore_index && label == static_cast<double>(*options.ignore_index)) continue;
    question.scores.push_back(rows[at + c]);
    question.positive.push_back(label == (per_class ? 1.0 : static_cast<double>(c)) ? 1 : 0);
  }
}

}  // namespace

ClassCurves class_curves(const ScoreOptions& options, View state) {
  ClassCurves result;
  const auto classes = static_cast<std::size_t>(options.classes);
  const std::size_t bins = state.sums.size() / (2 * classes);
  for (std::size_t c = 0; c < classes; ++c) {
    if (!options.thresholds.exact()) {
      const auto side = state.sums.subspan(2 * c * bins, 2 * bins);
      result.curves.push_back(binned_curve(side.first(bins), side.last(bins)));
    } else {
      Question question;
      add_question(options, state.rows, c, question);
      result.curves.push_back(exact_curve(question.scores, question.positive));
    }
  }
  result.only_label_zero = result.curves.front().negatives == 0;
  return result;
}

Curve pooled_curve(const ScoreOptions& options, View state) {
  const auto classes = static_cast<std::size_t>(options.classes);
  if (options.thresholds.exact()) {
    Question question;
    for (std::size_t c = 0; c < classes; ++c) add_question(options, state.rows, c, question);
    return exact_curve(question.scores, question.positive);
  }
  const std::size_t bins = state.sums.size() / (2 * classes);
  std::vector<double> pooled(2 * bins);
  for (std::size_t i = 0; i < state.sums.size(); ++i) pooled[i % (2 * bins)] += state.sums[i];
  const std::span<const double> sides = pooled;
  return binned_curve(sides.first(bins), sides.last(bins));
}

}  // namespace polyphony::metrics
