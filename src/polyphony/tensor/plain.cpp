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

}  // namespace polyphony::tensor
