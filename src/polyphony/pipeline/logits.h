#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <span>

namespace at {
class Tensor;
}

namespace polyphony::pipeline {

/// Writes logits as .npy, whole or not at all. @param logits  float [rows, classes]
void save_logits(const std::filesystem::path& path, const at::Tensor& logits);

/// Puts the softmax of each row in the place of its logits. @param rows  [rows, classes], row-major
template <class Float>
void softmax_rows(std::span<Float> rows, std::size_t classes) {
  for (std::size_t begin = 0; begin < rows.size(); begin += classes) {
    const auto row = rows.subspan(begin, classes);
    const Float largest = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (Float& value : row) sum += value = std::exp(value - largest);
    for (Float& value : row) value = static_cast<Float>(value / sum);
  }
}

}  // namespace polyphony::pipeline
