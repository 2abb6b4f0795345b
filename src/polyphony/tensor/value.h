#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace polyphony::tensor {

/// What Python's checkpoints hold: None, bool, int, float, str, list, tuple, dict, tensor.
class Value {
 public:
  enum class Kind { kNone, kBool, kInt, kFloat, kString, kList, kTuple, kDict, kTensor };
  using Entry = std::pair<Value, Value>;

  Value() = default;
  explicit Value(bool value) : kind_(Kind::kBool), int_(value ? 1 : 0) {}
  explicit Value(std::int64_t value) : kind_(Kind::kInt), int_(value) {}
  explicit Value(double value) : kind_(Kind::kFloat), float_(value) {}
  explicit Value(std::string value) : kind_(Kind::kString), text_(std::move(value)) {}
  explicit Value(at::Tensor value) : kind_(Kind::kTensor), tensor_(std::move(value)) {}
  static Value list();
  static Value tuple();
  static Value dict();

  Kind kind() const { return kind_; }
  // Each throws DataError naming the kind there is, where it is another.
  bool as_bool() const;
  std::int64_t as_int() const;
  double as_float() const;  ///< an int too
  const std::string& as_string() const;
  const at::Tensor& as_tensor() const;
  const std::vector<Value>& items() const;    ///< of a list or tuple
  const std::vector<Entry>& entries() const;  ///< of a dict, in order

  void append(Value value) { items_.push_back(std::move(value)); }
  void set(const std::string& key, Value value) {
    entries_.emplace_back(Value(key), std::move(value));
  }
  void set(Value key, Value value) { entries_.emplace_back(std::move(key), std::move(value)); }
  /// The value of a string key; null pointer where absent.
  const Value* find(std::string_view key) const;
  /// @throws DataError naming the key
  const Value& at(std::string_view key) const;

 private:
  void want(Kind kind) const;

  Kind kind_ = Kind::kNone;
  std::int64_t int_ = 0;
  double float_ = 0;
  std::string text_;
  at::Tensor tensor_;
  std::vector<Value> items_;
  std::vector<Entry> entries_;
};

}  // namespace polyphony::tensor
