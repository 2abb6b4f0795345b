#include <polyphony/config/resolvers.h>

#include <array>
#include <cstdlib>

#include <fmt/format.h>

#include <polyphony/config/scalars.h>

namespace polyphony::config {

Node resolve_env(const std::vector<Node>& arguments, const ResolveContext& context) {
  if (arguments.empty() || arguments.size() > 2) {
    throw ResolverError{"TypeError", "oc.env takes a name and optionally a default"};
  }
  if (!arguments[0].is_string())
    throw ResolverError{"TypeError",
                        "str expected, not " + std::string(Node::kind_name(arguments[0].kind()))};
  const std::string& name = arguments[0].as_string();
  if (context.env) {
    if (const auto value = context.env(name)) return Node(*value);
  } else if (const char* value = std::getenv(name.c_str())) {
    return Node(value);
  }
  if (arguments.size() == 2) {
    return arguments[1].is_null() ? Node() : Node(python_str(arguments[1]));
  }
  throw ResolverError{"KeyError", fmt::format("Environment variable '{}' not found", name)};
}

Node resolve_now(const std::vector<Node>& arguments, const ResolveContext& context) {
  static const std::tm start = [] {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    return local;
  }();
  if (arguments.size() != 1) throw ResolverError{"TypeError", "now takes one format"};
  const std::string format = python_str(arguments[0]);
  const std::tm& time = context.clock ? *context.clock : start;
  std::array<char, 512> buffer{};
  const std::size_t size = std::strftime(buffer.data(), buffer.size(), format.c_str(), &time);
  return Node(std::string(buffer.data(), size));
}

Node resolve_dict_keys(const Node& map) {
  Node keys = Node::list();
  for (const auto& [key, value] : map.entries()) keys.items().push_back(key);
  return keys;
}

}  // namespace polyphony::config
