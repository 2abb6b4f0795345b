#include <polyphony/tensor/value.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::tensor {
namespace {

constexpr const char* kNames[] = {"None", "bool",  "int",  "float", "str",
                                  "list", "tuple", "dict", "tensor"};

const char* name(Value::Kind kind) { return kNames[static_cast<int>(kind)]; }

}  // namespace

Value Value::list() {
  Value value;
  value.kind_ = Kind::kList;
  return value;
}

Value Value::tuple() {
  Value value;
  value.kind_ = Kind::kTuple;
  return value;
}

Value Value::dict() {
  Value value;
  value.kind_ = Kind::kDict;
  return value;
}

void Value::want(Kind kind) const {
  if (kind_ == kind) return;
  throw DataError(
      fmt::format("the checkpoint holds a {} where a {} belongs", name(kind_), name(kind)),
      "give a checkpoint that polyphony saved");
}

bool Value::as_bool() const {
  want(Kind::kBool);
  return int_ != 0;
}

std::int64_t Value::as_int() const {
  want(Kind::kInt);
  return int_;
}

double Value::as_float() const {
  if (kind_ == Kind::kInt) return static_cast<double>(int_);
  want(Kind::kFloat);
  return float_;
}

const std::string& Value::as_string() const {
  want(Kind::kString);
  return text_;
}

const at::Tensor& Value::as_tensor() const {
  want(Kind::kTensor);
  return tensor_;
}

const std::vector<Value>& Value::items() const {
  if (kind_ != Kind::kTuple) want(Kind::kList);
  return items_;
}

const std::vector<Value::Entry>& Value::entries() const {
  want(Kind::kDict);
  return entries_;
}

const Value* Value::find(std::string_view key) const {
  for (const auto& [name, value] : entries_) {
    if (name.kind_ == Kind::kString && name.text_ == key) return &value;
  }
  return nullptr;
}

const Value& Value::at(std::string_view key) const {
  const Value* value = find(key);
  if (value != nullptr) return *value;
  throw DataError(fmt::format("the checkpoint has no '{}'", key),
                  "give a checkpoint that polyphony saved");
}

}  // namespace polyphony::tensor
