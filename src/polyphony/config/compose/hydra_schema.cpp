#include <polyphony/config/compose/hydra_schema.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/nearest.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

enum class Type {
  kAny,
  kString,
  kInt,
  kBool,
  kMode,     // RUN or MULTIRUN
  kStrings,  // list of strings
  kStringMap,
  kAnyMap,
  kSettings,  // a mapping with the keys of this table only
};

struct Field {
  std::string_view path;  // under `hydra`
  Type type;
  bool optional = false;  // null is a value
};

constexpr auto kFields = std::to_array<Field>({
    {"callbacks", Type::kAnyMap},
    {"env", Type::kAny},
    {"help", Type::kSettings},
    {"help.app_name", Type::kString},
    {"help.footer", Type::kString},
    {"help.header", Type::kString},
    {"help.template", Type::kString},
    {"hydra_help", Type::kSettings},
    {"hydra_help.hydra_help", Type::kString},
    {"hydra_help.template", Type::kString},
    {"hydra_logging", Type::kAnyMap},
    {"job", Type::kSettings},
    {"job.chdir", Type::kBool, true},
    {"job.config", Type::kSettings},
    {"job.config.override_dirname", Type::kSettings},
    {"job.config.override_dirname.exclude_keys", Type::kStrings},
    {"job.config.override_dirname.item_sep", Type::kString},
    {"job.config.override_dirname.kv_sep", Type::kString},
    {"job.config_name", Type::kString, true},
    {"job.env_copy", Type::kStrings},
    {"job.env_set", Type::kStringMap},
    {"job.id", Type::kString},
    {"job.name", Type::kString},
    {"job.num", Type::kInt},
    {"job.override_dirname", Type::kString},
    {"job_logging", Type::kAnyMap},
    {"launcher", Type::kAny},
    {"mode", Type::kMode, true},
    {"output_subdir", Type::kString, true},
    {"overrides", Type::kSettings},
    {"overrides.hydra", Type::kStrings},
    {"overrides.task", Type::kStrings},
    {"run", Type::kSettings},
    {"run.dir", Type::kString},
    {"runtime", Type::kSettings},
    {"runtime.choices", Type::kAnyMap},
    {"runtime.config_sources", Type::kAny},
    {"runtime.cwd", Type::kString},
    {"runtime.output_dir", Type::kString},
    {"runtime.version", Type::kString},
    {"runtime.version_base", Type::kString},
    {"searchpath", Type::kStrings},
    {"sweep", Type::kSettings},
    {"sweep.dir", Type::kString},
    {"sweep.subdir", Type::kString},
    {"sweeper", Type::kAny},
    {"verbose", Type::kAny},
});

/// The basic sweeper's; another sweeper has its own.
constexpr auto kSweeperFields = std::to_array<Field>({
    {"_target_", Type::kString},
    {"max_batch_size", Type::kInt, true},
    {"params", Type::kStringMap, true},
});

/// `n_jobs` is ours: Hydra's basic launcher runs one job at a time.
constexpr auto kLauncherFields =
    std::to_array<Field>({{"_target_", Type::kString}, {"n_jobs", Type::kInt}});

[[noreturn]] void fail(const char* cause, const std::string& key, const std::string& fact,
                       const std::string& remedy, const Mark& mark) {
  throw ComposeError(cause, fmt::format("{}: {}", key, fact), remedy, key, mark)
      .as("ConfigCompositionException");
}

[[noreturn]] void wrong_type(const std::string& key, const Node& value, const char* wanted) {
  fail("ValidationError", key,
       fmt::format("{} '{}' is no {}", Node::kind_name(value.kind()), python_str(value), wanted),
       fmt::format("give it {} {}", wanted[0] == 'i' ? "an" : "a", wanted), value.mark());
}

std::optional<std::int64_t> integer_of(const Node& value) {
  if (value.kind() == Node::Kind::kInt) return value.as_int();
  if (!value.is_string()) return std::nullopt;
  const std::optional<Node> parsed = python_int(value.as_string());
  return parsed ? std::optional(parsed->as_int()) : std::nullopt;
}

void to_bool(Node& value, const std::string& key) {
  if (value.kind() == Node::Kind::kBool) return;
  std::optional<bool> result;
  if (const auto number = integer_of(value)) result = *number != 0;
  const std::string low = value.is_string() ? lower(value.as_string()) : "";
  for (const char* word : {"yes", "y", "on", "true"}) {
    if (low == word) result = true;
  }
  for (const char* word : {"no", "n", "off", "false"}) {
    if (low == word) result = false;
  }
  if (!result) wrong_type(key, value, "bool");
  const Mark mark = value.mark();
  value = Node(*result);
  value.set_mark(mark);
}

void to_mode(Node& value, const std::string& key) {
  std::string name = value.is_string() ? value.as_string() : "";
  if (name.starts_with("RunMode.")) name.erase(0, 8);
  if (value == Node(1)) name = "RUN";
  if (value == Node(2)) name = "MULTIRUN";
  if (name != "RUN" && name != "MULTIRUN") {
    fail("ValidationError", key, fmt::format("'{}' is no mode", python_str(value)),
         "expected one of [RUN, MULTIRUN]", value.mark());
  }
  const Mark mark = value.mark();
  value = Node(name);
  value.set_mark(mark);
}

void to_string(Node& value, const std::string& key) {
  if (value.is_list() || value.is_map() || value.is_bytes()) wrong_type(key, value, "string");
  if (value.is_string()) return;
  const Mark mark = value.mark();
  value = Node(python_str(value));
  value.set_mark(mark);
}

void check_key_text(const Node& name, const std::string& key, const Node& map) {
  if (name.is_string()) return;
  fail("KeyValidationError", key,
       fmt::format("key {} is a {}, not a string", python_repr(name), Node::kind_name(name.kind())),
       "quote it", map.mark());
}

void check(Node& value, const Field& field, const std::string& key);

template <std::size_t N>
void check_fields(Node& map, const std::array<Field, N>& fields, const std::string& key) {
  for (const Field& field : fields) {
    if (Node* value = map.find(field.path)) {
      check(*value, field, key + "." + std::string(field.path));
    }
  }
}

void check(Node& value, const Field& field, const std::string& key) {
  if (field.type == Type::kAny || value.is_missing()) return;
  if (value.is_string() && value.as_string().find("${") != std::string::npos) return;
  if (value.is_null()) {
    if (field.optional) return;
    fail("ValidationError", key, "null is no value here", "give it a value, or leave it out",
         value.mark());
  }
  switch (field.type) {
    case Type::kString:
      return to_string(value, key);
    case Type::kBool:
      return to_bool(value, key);
    case Type::kMode:
      return to_mode(value, key);
    case Type::kInt: {
      const auto number = integer_of(value);
      if (!number) wrong_type(key, value, "int");
      const Mark mark = value.mark();
      value = Node(*number);
      value.set_mark(mark);
      return;
    }
    case Type::kStrings:
      if (!value.is_list()) wrong_type(key, value, "list");
      for (Node& item : value.items()) check(item, {"", Type::kString}, key);
      return;
    case Type::kStringMap:
    case Type::kAnyMap:
      if (!value.is_map()) wrong_type(key, value, "dict");
      for (auto& [name, item] : value.entries()) {
        check_key_text(name, key, value);
        if (field.type == Type::kStringMap) {
          check(item, {"", Type::kString}, key + "." + name.as_string());
        }
      }
      return;
    case Type::kSettings:
      if (!value.is_map()) wrong_type(key, value, "dict");
      return;
    case Type::kAny:
      return;
  }
}

/// The names that the table has directly under `parent`.
std::vector<std::string> names_under(std::string_view parent) {
  std::vector<std::string> names;
  for (const Field& field : kFields) {
    std::string_view rest = field.path;
    if (!parent.empty()) {
      if (!rest.starts_with(parent) || !rest.substr(parent.size()).starts_with('.')) continue;
      rest.remove_prefix(parent.size() + 1);
    }
    if (rest.find('.') == rest.npos) names.emplace_back(rest);
  }
  return names;
}

void reject_unknown(const Node& map, const std::vector<std::string>& known,
                    const std::string& key) {
  if (!map.is_map()) return;
  for (const auto& [name, value] : map.entries()) {
    const std::string text = python_str(name);
    if (std::find(known.begin(), known.end(), text) != known.end()) continue;
    const std::string near = base::nearest(text, known);
    fail("ConfigKeyError", key + "." + text, "Hydra has no such setting",
         near.empty() ? fmt::format("known: {}", fmt::join(known, ", "))
                      : fmt::format("did you mean '{}.{}'?", key, near),
         value.mark());
  }
}

template <std::size_t N>
void check_plugin(Node* plugin, std::string_view target, const std::array<Field, N>& fields,
                  const std::string& key, UnknownKeys unknown) {
  const Node* name = plugin == nullptr ? nullptr : plugin->find("_target_");
  if (name == nullptr || !name->is_string() || name->as_string() != target) return;
  check_fields(*plugin, fields, key);
  if (unknown == UnknownKeys::kKeep) return;
  std::vector<std::string> known;
  for (const Field& field : fields) known.emplace_back(field.path);
  reject_unknown(*plugin, known, key);
}

/// The value at a dotted path of mappings; null pointer where absent.
Node* value_at(Node& root, std::string_view path) {
  Node* node = &root;
  while (node != nullptr && !path.empty()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    node = node->find(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return node;
}

}  // namespace

void check_hydra_types(Node& hydra, UnknownKeys unknown) {
  if (!hydra.is_map()) wrong_type("hydra", hydra, "dict");
  if (unknown == UnknownKeys::kReject) reject_unknown(hydra, names_under(""), "hydra");
  for (const Field& field : kFields) {
    Node* value = value_at(hydra, field.path);
    if (value == nullptr) continue;
    const std::string key = "hydra." + std::string(field.path);
    check(*value, field, key);
    if (field.type == Type::kSettings && unknown == UnknownKeys::kReject) {
      reject_unknown(*value, names_under(field.path), key);
    }
  }
  check_plugin(hydra.find("sweeper"), "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
               kSweeperFields, "hydra.sweeper", unknown);
  check_plugin(hydra.find("launcher"), "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
               kLauncherFields, "hydra.launcher", unknown);
}

bool is_optional_hydra_mapping(std::string_view key) { return key == "hydra.sweeper.params"; }

}  // namespace polyphony::config
