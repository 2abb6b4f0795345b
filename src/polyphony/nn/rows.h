#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <polyphony/nn/floats.h>

namespace polyphony::nn {

/// Calls `work` with a float or a bfloat16, as the tensor's elements are.
/// @throws std::invalid_argument if they are neither
template <class Work>
auto visit_type(const at::Tensor& x, const Work& work) {
  if (x.scalar_type() == at::kFloat) return work(float{});
  if (x.scalar_type() == at::kBFloat16) return work(at::BFloat16{});
  throw std::invalid_argument("this function takes float32 or bfloat16 tensors");
}

constexpr std::int64_t kRowBlock = 32;  // fixed, so that no sum depends on the number of threads

/// Calls `work(first, last)` for ranges of rows, on all threads.
template <class Work>
void for_row_blocks(std::int64_t rows, const Work& work) {
  at::parallel_for(0, rows, kRowBlock, work);
}

constexpr std::int64_t kPiece = 1024;  // elements whose factors stay in the nearest cache

/// Calls `work(first element, n)` for pieces of all elements, on all threads.
template <class Work>
void for_each_piece(std::int64_t size, const Work& work) {
  at::parallel_for(0, (size + kPiece - 1) / kPiece, 8, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t piece = first; piece < last; ++piece) {
      work(piece * kPiece, std::min(kPiece, size - piece * kPiece));
    }
  });
}

/// Sums that `add(row, sums, buffer)` gathers over all rows, the same to the bit at any number of
/// threads. @param buffer  scratch floats of a thread @return float32 [width]
template <class Add>
at::Tensor sum_over_rows(std::int64_t rows, std::int64_t width, std::int64_t buffer,
                         const Add& add) {
  const std::int64_t blocks = std::max<std::int64_t>(1, (rows + kRowBlock - 1) / kRowBlock);
  at::Tensor out = at::empty({width}, at::kFloat);
  std::vector<float> sums(static_cast<std::size_t>(blocks * width));
  at::parallel_for(0, blocks, 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> scratch(static_cast<std::size_t>(buffer));
    for (std::int64_t block = first; block < last; ++block) {
      const std::int64_t end = std::min(rows, (block + 1) * kRowBlock);
      for (std::int64_t row = block * kRowBlock; row < end; ++row) {
        add(row, sums.data() + block * width, scratch.data());
      }
    }
  });
  for (std::int64_t block = 1; block < blocks; ++block) {
    floats::accumulate(sums.data() + block * width, width, sums.data());
  }
  std::copy_n(sums.data(), width, out.data_ptr<float>());
  return out;
}

}  // namespace polyphony::nn
