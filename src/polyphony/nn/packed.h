#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

namespace polyphony::nn {

/// Where the rows of a batch of sequences lie when what is padding is left out: item by item, in
/// the order of their positions. Position 0 of each item stays even if it is padding, since it
/// is what classifiers read; `hidden` says so, and no attention sees it.
struct Packed {
  std::vector<std::int64_t> begin;      ///< first row of each item; one more: number of rows
  std::vector<std::int64_t> positions;  ///< of each row in its sequence
  std::vector<bool> hidden;             ///< of each item, whether its first row is padding
  std::int64_t length = 0;              ///< positions of a sequence before packing

  std::int64_t batch() const { return static_cast<std::int64_t>(begin.size()) - 1; }
  std::int64_t rows() const { return begin.back(); }
  std::int64_t first_key(std::int64_t item) const {
    return begin[static_cast<std::size_t>(item)] + (hidden[static_cast<std::size_t>(item)] ? 1 : 0);
  }
  std::int64_t end(std::int64_t item) const { return begin[static_cast<std::size_t>(item) + 1]; }
  /// Rows of the longest item.
  std::int64_t longest() const;
};
using Layout = std::shared_ptr<const Packed>;

/// @param padding  bool [batch, positions], true where padding; undefined: none
Layout pack(const at::Tensor& padding, std::int64_t batch, std::int64_t positions);
/// One row an item: position 0.
Layout first_positions(std::int64_t batch);

/// The rows of `x`. @param x  [batch, positions, dims] @return [rows, dims]; differentiable
at::Tensor gather_rows(const at::Tensor& x, const Layout& layout);
/// Its inverse, zeros where padding is; differentiable. @param rows  float [rows, dims]
at::Tensor spread_rows(const at::Tensor& rows, const Layout& layout);
/// Each row with its neighbours, channel by channel as a convolution of width 3 reads them; zeros
/// beyond the ends. @param x  [batch, positions, dims] @return [rows, dims * 3]; differentiable
at::Tensor gather_windows(const at::Tensor& x, const Layout& layout);

}  // namespace polyphony::nn
