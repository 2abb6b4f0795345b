#include <polyphony/loggers/plain_node.h>

#include <fmt/format.h>

namespace polyphony::loggers {

config::Node plain_node(const tensor::Value& value) {
  using Kind = tensor::Value::Kind;
  switch (value.kind()) {
    case Kind::kNone:
      return {};
    case Kind::kBool:
      return value.as_bool();
    case Kind::kInt:
      return value.as_int();
    case Kind::kFloat:
      return value.as_float();
    case Kind::kString:
      return value.as_string();
    case Kind::kTensor: {
      const auto shape = value.as_tensor().sizes().vec();
      return fmt::format("tensor[{}]", fmt::join(shape, ", "));
    }
    case Kind::kList:
    case Kind::kTuple: {
      config::Node list = config::Node::list();
      for (const tensor::Value& item : value.items()) list.items().push_back(plain_node(item));
      return list;
    }
    case Kind::kDict: {
      config::Node map = config::Node::map();
      for (const auto& [key, item] : value.entries()) {
        map.entries().emplace_back(plain_node(key), plain_node(item));
      }
      return map;
    }
  }
  return {};
}

}  // namespace polyphony::loggers
