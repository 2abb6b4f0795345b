#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/base/csv.h>
#include <polyphony/tensor/named_tensors.h>

namespace polyphony::data {

/// Named tensors, in the order the dataset gives them.
class Tensors {
 public:
  /// @throws std::out_of_range naming the key and the keys there are
  const at::Tensor& at(const std::string& name) const;
  bool has(const std::string& name) const;
  void set(const std::string& name, at::Tensor value);
  /// The same on a device; what is there already is shared.
  Tensors to(at::Device device) const;
  const tensor::NamedTensors& entries() const { return entries_; }

 private:
  tensor::NamedTensors entries_;
};

using Item = Tensors;
using Batch = Tensors;

/// Rows of a table as tensors. `get` is called from several threads at once.
class Dataset {
 public:
  static constexpr const char* kKind = "Dataset";
  virtual ~Dataset() = default;

  virtual std::int64_t size() const = 0;
  /// One row: e.g. "log_mel" float [frames, mels], "tokens" int64 [positions, n], "label" int64 [].
  /// @throws DataError naming the row and the file
  virtual Item get(std::int64_t index) const = 0;
  /// Joins rows: scalars are stacked; other tensors are padded with zeros along their first
  /// dimension to the longest, and "NAME_length" (int64 [batch]) tells how much of each is real.
  virtual Batch collate(std::span<const Item> items) const;
  /// Class names in label order.
  virtual const std::vector<std::string>& classes() const = 0;
  /// Rows of each class, in label order.
  virtual std::vector<std::int64_t> class_counts() const = 0;
  /// May a row have several classes? Its "label" is float [classes] then, 1 where it has the class.
  virtual bool multi_label() const { return false; }
  /// Rows that have no label.
  virtual std::int64_t unlabelled() const;
  /// About how long each row is, in any unit: what batches of similar length are made of. Empty
  /// where the dataset does not know without reading every row.
  virtual std::vector<std::int64_t> lengths() const { return {}; }
  /// The table that the rows come from, in dataset order, for submissions.
  virtual const CsvTable& table() const = 0;
};

}  // namespace polyphony::data
