#include <polyphony/metrics/counting.h>

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <polyphony/metrics/batch.h>

namespace polyphony::metrics {
namespace {

constexpr std::size_t kBlock = 4;  // tn, fp, fn, tp

std::string text(std::optional<std::int64_t> ignore_index) {
  return ignore_index ? std::to_string(*ignore_index) : "-";
}

std::size_t cell(bool truth, bool guess) { return (truth ? 2U : 0U) + (guess ? 1U : 0U); }

/// Where the blocks of a row are counted: in the sums, or in blocks of its own.
double* blocks_of_row(Multidim multidim, std::size_t blocks, Slot& slot) {
  if (multidim == Multidim::kGlobal) return slot.sums.data();
  slot.rows.resize(slot.rows.size() + blocks * kBlock);
  return slot.rows.data() + slot.rows.size() - blocks * kBlock;
}

class Confusion : public Accumulator {
 public:
  Confusion(std::int64_t classes, std::optional<std::int64_t> ignore_index)
      : classes_(classes), ignore_index_(ignore_index) {}

  std::string key() const override {
    return fmt::format("confusion {} {}", classes_, text(ignore_index_));
  }
  std::size_t sums() const override { return static_cast<std::size_t>(classes_ * classes_); }

  void update(const Batch& batch, Slot slot) const override {
    const MulticlassBatch view = multiclass_batch(batch, classes_, ignore_index_);
    if (view.scored) {
      with_scores(view.preds, [&](auto* scores) {
        count(view, slot.sums, [&](std::int64_t row, std::int64_t position) {
          return argmax(scores + row * classes_ * view.inner + position, classes_, view.inner);
        });
      });
    } else {
      const std::int64_t* guesses = view.preds.data_ptr<std::int64_t>();
      count(view, slot.sums, [&](std::int64_t row, std::int64_t position) {
        return guesses[row * view.inner + position];
      });
    }
  }

 private:
  template <class Guess>
  void count(const MulticlassBatch& view, std::span<double> sums, Guess guess) const {
    for (std::int64_t row = 0; row < view.rows; ++row) {
      for (std::int64_t position = 0; position < view.inner; ++position) {
        const std::int64_t truth = view.target[row * view.inner + position];
        if (truth == ignore_index_) continue;
        sums[static_cast<std::size_t>(truth * classes_ + guess(row, position))] += 1;
      }
    }
  }

  std::int64_t classes_;
  std::optional<std::int64_t> ignore_index_;
};

class TopK : public Accumulator {
 public:
  explicit TopK(const TopKCounts& options) : options_(options) {}

  std::string key() const override {
    return fmt::format("top_k {} {} {} {}", options_.classes, options_.top_k,
                       config::show(options_.multidim), text(options_.ignore_index));
  }
  std::size_t sums() const override {
    return options_.multidim == Multidim::kGlobal ? blocks() * kBlock : 0;
  }
  bool keeps_rows() const override { return options_.multidim == Multidim::kSamplewise; }

  void update(const Batch& batch, Slot slot) const override {
    const MulticlassBatch view = multiclass_batch(batch, options_.classes, options_.ignore_index);
    if (options_.top_k > 1) require_scores(view.scored, "top_k above 1");
    std::vector<bool> chosen(blocks());
    for (std::int64_t row = 0; row < view.rows; ++row) {
      double* counts = blocks_of_row(options_.multidim, blocks(), slot);
      for (std::int64_t position = 0; position < view.inner; ++position) {
        const std::int64_t truth = view.target[row * view.inner + position];
        if (truth == options_.ignore_index) continue;
        choose(view, row, position, chosen);
        for (std::size_t c = 0; c < blocks(); ++c) {
          counts[c * kBlock + cell(static_cast<std::int64_t>(c) == truth, chosen[c])] += 1;
        }
      }
    }
  }

 private:
  std::size_t blocks() const { return static_cast<std::size_t>(options_.classes); }

  /// Of equal scores it takes those that torch.topk takes: both select with std::nth_element.
  void choose(const MulticlassBatch& view, std::int64_t row, std::int64_t position,
              std::vector<bool>& chosen) const {
    std::fill(chosen.begin(), chosen.end(), false);
    if (!view.scored) {
      const std::int64_t guess = view.preds.data_ptr<std::int64_t>()[row * view.inner + position];
      chosen[static_cast<std::size_t>(guess)] = true;
      return;
    }
    with_scores(view.preds, [&](auto* scores) {
      const auto* first = scores + row * view.classes * view.inner + position;
      if (options_.top_k == 1) {
        chosen[static_cast<std::size_t>(argmax(first, view.classes, view.inner))] = true;
        return;
      }
      using Score = std::remove_cvref_t<decltype(*first)>;
      std::vector<std::pair<Score, std::size_t>> ranked(blocks());
      for (std::size_t c = 0; c < blocks(); ++c) {
        ranked[c] = {first[static_cast<std::int64_t>(c) * view.inner], c};
      }
      const auto larger = [](const auto& a, const auto& b) {
        return (a.first != a.first && b.first == b.first) || a.first > b.first;
      };
      const auto end = ranked.begin() + options_.top_k;
      constexpr std::int64_t kFewOfMany = 64;  // torch.topk's choice of algorithm
      if (options_.top_k * kFewOfMany <= options_.classes) {
        std::partial_sort(ranked.begin(), end, ranked.end(), larger);
      } else {
        std::nth_element(ranked.begin(), end - 1, ranked.end(), larger);
      }
      for (auto item = ranked.begin(); item != end; ++item) chosen[item->second] = true;
    });
  }

  TopKCounts options_;
};

class Labels : public Accumulator {
 public:
  explicit Labels(const LabelCounts& options) : options_(options) {}

  std::string key() const override {
    const bool apart = options_.judged == Judged::kCounted && options_.ignore_index;
    return fmt::format("labels {} {} {} {}{}", options_.labels.value_or(0), options_.threshold,
                       config::show(options_.multidim), text(options_.ignore_index),
                       apart ? " counted" : "");
  }
  std::size_t sums() const override {
    return options_.multidim == Multidim::kGlobal ? blocks() * kBlock : 0;
  }
  bool keeps_rows() const override { return options_.multidim == Multidim::kSamplewise; }

  void update(const Batch& batch, Slot slot) const override {
    const LabelBatch view = label_batch(batch, options_.labels, options_.ignore_index);
    if (!view.scored) {
      const std::int64_t* answers = view.preds.data_ptr<std::int64_t>();
      count(view, slot, [&](std::int64_t i) { return answers[i] == 1; });
      return;
    }
    const at::Tensor probabilities = sigmoid_if_needed(
        view, options_.judged == Judged::kCounted ? options_.ignore_index : std::nullopt);
    with_scores(probabilities, [&](auto* scores) {
      using Score = std::remove_cvref_t<decltype(*scores)>;
      const auto threshold = static_cast<Score>(options_.threshold);
      count(view, slot, [&](std::int64_t i) { return scores[i] > threshold; });
    });
  }

 private:
  std::size_t blocks() const { return static_cast<std::size_t>(options_.labels.value_or(1)); }

  template <class Answer>
  void count(const LabelBatch& view, Slot& slot, Answer answer) const {
    std::int64_t i = 0;
    for (std::int64_t row = 0; row < view.rows; ++row) {
      double* counts = blocks_of_row(options_.multidim, blocks(), slot);
      for (std::int64_t label = 0; label < view.labels; ++label, counts += kBlock) {
        for (std::int64_t position = 0; position < view.inner; ++position, ++i) {
          if (view.target[i] == options_.ignore_index) continue;
          counts[cell(view.target[i] == 1, answer(i))] += 1;
        }
      }
    }
  }

  LabelCounts options_;
};

}  // namespace

std::shared_ptr<const Accumulator> confusion_counts(std::int64_t classes,
                                                    std::optional<std::int64_t> ignore_index) {
  return std::make_shared<Confusion>(classes, ignore_index);
}

std::shared_ptr<const Accumulator> top_k_counts(const TopKCounts& options) {
  return std::make_shared<TopK>(options);
}

std::shared_ptr<const Accumulator> label_counts(const LabelCounts& options) {
  return std::make_shared<Labels>(options);
}

}  // namespace polyphony::metrics
