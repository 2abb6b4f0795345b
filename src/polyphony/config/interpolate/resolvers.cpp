#include <polyphony/config/interpolate/resolvers.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>
#include <stdexcept>

#include <fmt/format.h>

#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/scalars.h>
#include <polyphony/config/yaml/yaml.h>

namespace polyphony::config {
namespace {

using Arguments = std::vector<Node>;

[[noreturn]] void wrong_count(const std::string& name, const Arguments& arguments) {
  throw ResolverError{"TypeError",
                      fmt::format("{} does not take {} arguments", name, arguments.size())};
}

const std::string& text_argument(const Node& argument, const std::string& name,
                                 const char* type = "TypeError") {
  if (argument.is_string()) return argument.as_string();
  throw ResolverError{type, fmt::format("{} wants a string, not {} ({})", name,
                                        python_str(argument), Node::kind_name(argument.kind()))};
}

Node env(const Arguments& arguments, ResolverScope& scope) {
  const std::string& name = text_argument(arguments[0], "oc.env");
  const ResolveContext& context = scope.context();
  if (context.env) {
    if (const auto value = context.env(name)) return Node(*value);
  } else if (const char* value = std::getenv(name.c_str())) {
    return Node(value);
  }
  if (arguments.size() == 2) {
    return arguments[1].is_null() ? Node() : Node(python_str(arguments[1]));
  }
  throw ResolverError{"KeyError", fmt::format("Environment variable '{}' not found", name),
                      fmt::format("export {0}=VALUE, or write {0}=VALUE into the file .env of this "
                                  "folder or of one above",
                                  name)};
}

Node now(const Arguments& arguments, ResolverScope& scope) {
  static const std::tm kStart = [] {
    const std::time_t seconds = std::time(nullptr);
    std::tm local{};
    localtime_r(&seconds, &local);
    return local;
  }();
  const std::string& format = text_argument(arguments[0], "now");
  const std::optional<std::tm>& clock = scope.context().clock;
  std::array<char, 512> buffer{};
  const std::size_t size =
      std::strftime(buffer.data(), buffer.size(), format.c_str(), clock ? &*clock : &kStart);
  return Node(std::string(buffer.data(), size));
}

Node select_value(const Arguments& arguments, ResolverScope& scope) {
  const std::optional<Node> found =
      scope.select(text_argument(arguments[0], "oc.select", "AttributeError"));
  if (found && !found->is_missing()) return *found;
  return arguments.size() == 2 ? arguments[1] : Node();
}

Node decode(const Arguments& arguments, ResolverScope& scope) {
  if (arguments[0].is_null()) return Node();
  return scope.decode(text_argument(arguments[0], "oc.decode"));
}

/// What OmegaConf.create makes of a value; a text is read as YAML.
Node create(const Arguments& arguments, ResolverScope& scope) {
  Node value = arguments[0];
  if (value.is_null()) return value;
  if (value.is_string()) {
    const std::string text = value.as_string();
    try {
      value = parse_yaml(text, "oc.create");
    } catch (const ComposeError& error) {
      throw ResolverError{error.original_class(), error.what()};
    }
    if (value.is_null()) value = Node::map();
    if (value.is_string()) {
      value = Node::map();
      value.set(text, Node());
    }
    value = scope.adopt(value);
  }
  if (value.is_scalar()) {
    throw ResolverError{"ValidationError", fmt::format("oc.create takes a mapping or list, not {}",
                                                       Node::kind_name(value.kind()))};
  }
  return value;
}

Node mapping(const Arguments& arguments, const std::string& name, ResolverScope& scope) {
  const std::string& key = text_argument(arguments[0], name);
  const std::optional<Node> found = scope.select(key);
  if (!found) throw ResolverError{"ConfigKeyError", fmt::format("Key not found: '{}'", key)};
  if (found->is_missing()) {
    throw ResolverError{"MissingMandatoryValue", fmt::format("Missing mandatory value: {}", key)};
  }
  if (!found->is_map()) {
    throw ResolverError{"TypeError", fmt::format("{} wants the key of a mapping: '{}' is a {}",
                                                 name, key, Node::kind_name(found->kind()))};
  }
  return *found;
}

Node dict_keys(const Arguments& arguments, ResolverScope& scope) {
  Node keys = Node::list();
  const Node map = mapping(arguments, "oc.dict.keys", scope);
  for (const auto& [key, value] : map.entries()) {
    keys.items().push_back(key);
  }
  return keys;
}

Node dict_values(const Arguments& arguments, ResolverScope& scope) {
  Node values = Node::list();
  const Node map = mapping(arguments, "oc.dict.values", scope);
  for (const auto& [key, value] : map.entries()) {
    values.items().push_back(value);
  }
  return values;
}

Node deprecated(const Arguments& arguments, ResolverScope& scope) {
  const std::string& key = text_argument(arguments[0], "oc.deprecated");
  std::string message = "'$OLD_KEY' is deprecated. Change your code and config to use '$NEW_KEY'";
  if (arguments.size() == 2) message = text_argument(arguments[1], "oc.deprecated");
  const std::optional<Node> found = scope.select(key);
  if (!found) {
    throw ResolverError{
        "ConfigKeyError",
        fmt::format("In oc.deprecated resolver at '{}': Key not found: '{}'", scope.caller(), key)};
  }
  const auto put = [&message](std::string_view name, const std::string& value) {
    for (std::size_t at = message.find(name); at != std::string::npos;
         at = message.find(name, at)) {
      message.replace(at, name.size(), value);
      at += value.size();
    }
  };
  for (const char* name : {"$OLD_KEY", "${OLD_KEY}"}) put(name, scope.caller());
  for (const char* name : {"$NEW_KEY", "${NEW_KEY}"}) put(name, key);
  if (scope.context().warn) scope.context().warn(message);
  return *found;
}

Node hydra(const Arguments& arguments, ResolverScope& scope) {
  if (scope.context().hydra.is_null()) throw ResolverError{"ValueError", "HydraConfig was not set"};
  const std::optional<Node> found =
      scope.select_hydra(text_argument(arguments[0], "hydra", "AttributeError"));
  return found && !found->is_missing() ? *found : Node();
}

struct BuiltIn {
  std::string_view name;
  std::size_t least, most;  // number of arguments
  Node (*function)(const Arguments&, ResolverScope&);
};

constexpr auto kBuiltIns = std::to_array<BuiltIn>({
    {"hydra", 1, 1, hydra},
    {"now", 1, 1, now},
    {"oc.create", 1, 1, create},
    {"oc.decode", 1, 1, decode},
    {"oc.deprecated", 1, 2, deprecated},
    {"oc.dict.keys", 1, 1, dict_keys},
    {"oc.dict.values", 1, 1, dict_values},
    {"oc.env", 1, 2, env},
    {"oc.select", 1, 2, select_value},
});

struct Registry {
  std::mutex mutex;
  std::map<std::string, ResolverFunction> functions;
};

Registry& registry() {
  static Registry instance;
  return instance;
}

const BuiltIn* find_built_in_resolver(std::string_view name) {
  for (const BuiltIn& item : kBuiltIns) {
    if (item.name == name) return &item;
  }
  return nullptr;
}

Node call_custom(const ResolverFunction& function, const Arguments& arguments) {
  try {
    return function(arguments);
  } catch (const ComposeError& error) {
    throw ResolverError{error.original_class(), error.what()};
  } catch (const std::exception& error) {
    throw ResolverError{"Exception", error.what()};
  }
}

}  // namespace

void register_resolver(const std::string& name, ResolverFunction function) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  if (find_built_in_resolver(name) != nullptr ||
      !all.functions.emplace(name, std::move(function)).second) {
    throw std::invalid_argument(fmt::format("a resolver '{}' is registered already", name));
  }
}

std::optional<Node> call_resolver(const std::string& name, const Arguments& arguments,
                                  ResolverScope& scope) {
  const auto& given = scope.context().resolvers;
  if (const auto found = given.find(name); found != given.end()) {
    return call_custom(found->second, arguments);
  }
  if (const BuiltIn* item = find_built_in_resolver(name)) {
    if (arguments.size() < item->least || arguments.size() > item->most) {
      wrong_count(name, arguments);
    }
    return item->function(arguments, scope);
  }
  ResolverFunction function;
  {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    const auto found = all.functions.find(name);
    if (found == all.functions.end()) return std::nullopt;
    function = found->second;
  }
  return call_custom(function, arguments);
}

std::vector<std::string> resolver_names(const ResolveContext& context) {
  std::vector<std::string> names;
  for (const BuiltIn& item : kBuiltIns) names.emplace_back(item.name);
  for (const auto& [name, function] : context.resolvers) names.push_back(name);
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  for (const auto& [name, function] : all.functions) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace polyphony::config
