#include <polyphony/tensor/plain.h>

namespace polyphony::tensor {

Value value_of(const config::Node& node) {
  using Kind = config::Node::Kind;
  switch (node.kind()) {
    case Kind::kNull:
      return {};
    case Kind::kBool:
      return Value(node.as_bool());
    case Kind::kInt:
      return node.is_big_int() ? Value(node.as_string()) : Value(node.as_int());
    case Kind::kFloat:
      return Value(node.as_float());
    case Kind::kString:
      return Value(node.as_string());
    case Kind::kList: {
      Value list = Value::list();
      for (const config::Node& item : node.items()) list.append(value_of(item));
      return list;
    }
    case Kind::kMap: {
      Value dict = Value::dict();
      for (const auto& [key, value] : node.entries()) dict.set(value_of(key), value_of(value));
      return dict;
    }
  }
  return {};
}

Value copy_of(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kTensor:
      return Value(value.as_tensor().detach().clone());
    case Value::Kind::kDict: {
      Value dict = Value::dict();
      for (const auto& [key, item] : value.entries()) dict.set(key, copy_of(item));
      return dict;
    }
    case Value::Kind::kList:
    case Value::Kind::kTuple: {
      Value list = value.kind() == Value::Kind::kList ? Value::list() : Value::tuple();
      for (const Value& item : value.items()) list.append(copy_of(item));
      return list;
    }
    default:
      return value;
  }
}

}  // namespace polyphony::tensor
