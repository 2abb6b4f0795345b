#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace polyphony::tensor {

/// What a PyTorch archive holds: a tree of plain data and tensors. A value type.
class Value {
 public:
  enum class Kind { kNull, kBool, kInt, kFloat, kString, kList, kTuple, kDict, kTensor };
  using Entry = std::pair<Value, Value>;  // key (a scalar), value

  Value() = default;
  Value(bool value) : kind_(Kind::kBool), int_(value ? 1 : 0) {}
  Value(std::int64_t value) : kind_(Kind::kInt), int_(value) {}
  Value(int value) : Value(std::int64_t{value}) {}
  Value(double value) : kind_(Kind::kFloat), float_(value) {}
  Value(std::string value) : kind_(Kind::kString), text_(std::move(value)) {}
  Value(const char* value) : Value(std::string(value)) {}
  Value(at::Tensor value) : kind_(Kind::kTensor), tensor_(std::move(value)) {}
  static Value list(std::vector<Value> items = {});
  static Value tuple(std::vector<Value> items = {});
  /// Keeps the order of insertion, as Python's dict.
  static Value dict();

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_dict() const { return kind_ == Kind::kDict; }
  bool is_sequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }
  bool is_tensor() const { return kind_ == Kind::kTensor; }

  /// Each: @throws DataError saying what was wanted and what is there
  bool as_bool() const;
  std::int64_t as_int() const;
  double as_float() const;  ///< an int is taken too
  const std::string& as_string() const;
  const at::Tensor& as_tensor() const;
  const std::vector<Value>& items() const;    ///< of a list or tuple
  const std::vector<Entry>& entries() const;  ///< of a dict

  /// The value of a string key; null pointer where absent or where this is no dict.
  const Value* find(std::string_view key) const;
  /// @throws DataError naming the key where absent
  const Value& at(std::string_view key) const;
  /// Sets a key of a dict, in place where it exists, else at the end.
  Value& set(const std::string& key, Value value);
  /// Adds an entry without looking for its key, which may be any scalar.
  void add_entry(Value key, Value value);
  /// Adds to a list.
  void append(Value value);

  /// "null", "bool", "int", "float", "str", "list", "tuple", "dict", "tensor".
  static const char* kind_name(Kind kind);

 private:
  const Value& expect(Kind kind) const;

  Kind kind_ = Kind::kNull;
  std::int64_t int_ = 0;
  double float_ = 0;
  std::string text_;
  std::vector<Value> items_;
  std::vector<Entry> entries_;
  at::Tensor tensor_;
};

/// Reads what torch.save wrote (zip format, PyTorch 1.6 on) and what save_archive writes: tensors and
/// plain containers only; no code of the file is ever run. Tensors are on the CPU.
/// @throws IoError where the file cannot be read; DataError naming the file where it is damaged
///         or holds an object of another class, which it names
Value load_archive(const std::filesystem::path& path);

/// Writes an archive that torch.load reads, whole or not at all.
/// @throws IoError naming the path and the system's reason
void save_archive(const std::filesystem::path& path, const Value& value);

}  // namespace polyphony::tensor
