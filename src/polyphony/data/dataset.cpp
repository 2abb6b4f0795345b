#include <polyphony/data/dataset.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

namespace polyphony::data {

const at::Tensor& Tensors::at(const std::string& name) const {
  for (const auto& [key, value] : entries_) {
    if (key == name) return value;
  }
  std::vector<std::string> names;
  for (const auto& [key, value] : entries_) names.push_back(key);
  throw std::out_of_range(
      fmt::format("no tensor '{}'; there are: {}", name, fmt::join(names, ", ")));
}

bool Tensors::has(const std::string& name) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const auto& item) { return item.first == name; });
}

void Tensors::set(const std::string& name, at::Tensor value) {
  for (auto& [key, old] : entries_) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  entries_.emplace_back(name, std::move(value));
}

Tensors Tensors::to(at::Device device) const {
  Tensors moved;
  for (const auto& [name, value] : entries_) moved.set(name, value.to(device));
  return moved;
}

namespace {

/// Sequences padded with zeros to the longest, and how long each is.
void pad(const std::string& name, const std::vector<at::Tensor>& rows, Batch& batch) {
  const auto count = static_cast<std::int64_t>(rows.size());
  std::vector<std::int64_t> shape = rows.front().sizes().vec();
  at::Tensor lengths = at::empty({count}, at::kLong);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    lengths.data_ptr<std::int64_t>()[i] = rows[i].size(0);
    shape[0] = std::max(shape[0], rows[i].size(0));
  }
  shape.insert(shape.begin(), count);
  at::Tensor padded = at::zeros(shape, rows.front().options());
  for (std::int64_t i = 0; i < count; ++i) {
    const at::Tensor& row = rows[static_cast<std::size_t>(i)];
    padded.select(0, i).narrow(0, 0, row.size(0)).copy_(row);
  }
  batch.set(name, padded);
  batch.set(name + "_length", lengths);
}

}  // namespace

std::int64_t Dataset::unlabelled() const {
  const std::vector<std::int64_t> counts = class_counts();
  return size() - std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

Batch Dataset::collate(std::span<const Item> items) const {
  Batch batch;
  for (const auto& [name, first] : items.front().entries()) {
    std::vector<at::Tensor> rows;
    for (const Item& item : items) rows.push_back(item.at(name));
    if (first.dim() == 0) {
      batch.set(name, at::stack(rows));
    } else {
      pad(name, rows, batch);
    }
  }
  return batch;
}

}  // namespace polyphony::data
