#pragma once

#include <cstdint>
#include <span>

#include <ATen/core/Tensor.h>

#include <polyphony/nn/numpy_random.h>

namespace polyphony::nn {

/// How many spans SpecAugment (Park et al., 2019) masks, and how long they are.
struct MaskSpans {
  double prob = 0.05;          ///< share of positions that start or continue a span, about
  std::int64_t length = 10;    ///< positions of a span, at least 1
  std::int64_t min_masks = 0;  ///< spans a row has at least
};

/// SpecAugment's mask as Transformers 4.27.1 computes it, draw for draw.
/// @param lengths  valid positions of each row
/// @param width    positions of a row; if a span is longer than that, nothing is masked
///   (Transformers throws)
/// @return bool [rows, width], true where masked
at::Tensor mask_indices(std::span<const std::int64_t> lengths, std::int64_t width,
                        const MaskSpans& spans, NumpyRandom& random);

}  // namespace polyphony::nn
