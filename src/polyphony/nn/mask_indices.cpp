#include <polyphony/nn/mask_indices.h>

#include <algorithm>
#include <vector>

#include <torch/types.h>

namespace polyphony::nn {
namespace {

/// Spans of a row with `length` valid positions of `width`.
std::int64_t spans_of_row(std::int64_t length, std::int64_t width, const MaskSpans& spans,
                          double epsilon) {
  const double share =
      spans.prob * static_cast<double>(length) / static_cast<double>(spans.length) + epsilon;
  std::int64_t count = std::max(static_cast<std::int64_t>(share), spans.min_masks);
  if (count * spans.length > width) count = width / spans.length;
  const std::int64_t starts = length - (spans.length - 1);
  return starts < count ? std::max<std::int64_t>(starts, 0) : count;
}

}  // namespace

at::Tensor mask_indices(std::span<const std::int64_t> lengths, std::int64_t width,
                        const MaskSpans& spans, NumpyRandom& random) {
  at::Tensor mask = torch::zeros({static_cast<std::int64_t>(lengths.size()), width}, torch::kBool);
  if (spans.length < 1 || spans.length > width) return mask;
  const double epsilon = random.uniform();
  const std::int64_t most = spans_of_row(width, width, spans, epsilon);
  if (most == 0) return mask;
  bool* row = mask.data_ptr<bool>();
  for (const std::int64_t length : lengths) {
    const std::int64_t count = spans_of_row(length, width, spans, epsilon);
    std::vector<std::int64_t> starts = random.permutation(length - (spans.length - 1));
    starts.resize(static_cast<std::size_t>(count));
    // All rows have as many spans: a row with fewer repeats its first, or marks its last position.
    if (count < most) starts.push_back(starts.empty() ? width - 1 : starts.front());
    for (const std::int64_t start : starts) {
      for (std::int64_t i = 0; i < spans.length; ++i) row[std::min(start + i, width - 1)] = true;
    }
    row += width;
  }
  return mask;
}

}  // namespace polyphony::nn
