#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <polyphony/metrics/accumulator.h>
#include <polyphony/metrics/choices.h>

namespace polyphony::metrics {

/// A confusion matrix: sums [classes, classes], row = truth. The first of equal scores is
/// predicted.
std::shared_ptr<const Accumulator> confusion_counts(std::int64_t classes,
                                                    std::optional<std::int64_t> ignore_index);

struct TopKCounts {
  std::int64_t classes = 2;
  std::int64_t top_k = 1;
  Multidim multidim = Multidim::kGlobal;
  std::optional<std::int64_t> ignore_index;
};

/// Each class against the rest, where a row predicts its top_k classes: blocks [classes, 2, 2] of
/// tn, fp, fn, tp, as sums, or as one group of blocks for each row (kSamplewise).
std::shared_ptr<const Accumulator> top_k_counts(const TopKCounts& options);

/// Which scores decide whether a batch holds probabilities or logits.
enum class Judged {
  kAll,      ///< every score
  kCounted,  ///< those whose label is not ignored
};

struct LabelCounts {
  std::optional<std::int64_t> labels;  ///< absent: binary
  double threshold = 0.5;              ///< a probability above it answers yes
  Multidim multidim = Multidim::kGlobal;
  Judged judged = Judged::kAll;
  std::optional<std::int64_t> ignore_index;
};

/// Each label's own counts: blocks [labels, 2, 2] of tn, fp, fn, tp, as sums or one group a row.
std::shared_ptr<const Accumulator> label_counts(const LabelCounts& options);

}  // namespace polyphony::metrics
