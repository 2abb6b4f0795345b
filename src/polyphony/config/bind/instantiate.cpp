#include <polyphony/config/bind/instantiate.h>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/nearest.h>
#include <polyphony/config/compose/merge.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

/// Kinds whose classes Python's code completes later, and with what.
constexpr std::pair<std::string_view, std::string_view> kCompletedLater[] = {
    {"Optimizer", "the parameters"}, {"Schedule", "the optimizer"}};

std::string place(const Node& node, const std::string& path) {
  return node.mark().text().empty() ? path : node.mark().text() + ": " + path;
}

bool read_flag(const Node& node, std::string_view key, const std::string& path) {
  const Node* flag = node.find(key);
  if (flag == nullptr || flag->is_null()) return false;
  if (flag->kind() == Node::Kind::kBool) return flag->as_bool();
  throw ConfigError(
      fmt::format("{}.{} is true or false, not {}", place(*flag, path), key, python_repr(*flag)),
      fmt::format("write {}: true or leave it out", key));
}

void check_convert(const Node& node, const std::string& path) {
  const Node* convert = node.find("_convert_");
  if (convert == nullptr || convert->is_null()) return;
  static const std::vector<std::string> kModes = {"none", "partial", "object", "all"};
  const std::string mode = convert->is_string() ? lower(convert->as_string()) : "";
  if (std::find(kModes.begin(), kModes.end(), mode) != kModes.end()) return;
  throw ConfigError(fmt::format("{}._convert_: {} is no mode of conversion", place(*convert, path),
                                python_repr(*convert)),
                    "write none, partial, object or all; they mean the same here: options are "
                    "plain typed values");
}

std::vector<FieldDoc> options_of(const RegisteredClass& entry) {
  Fields fields;
  entry.describe(fields);
  return fields.docs();
}

std::vector<std::string> names_of(const std::vector<FieldDoc>& options) {
  std::vector<std::string> names;
  for (const FieldDoc& option : options) names.push_back(option.name);
  return names;
}

/// Turns `_args_` into options, in the order of the field list.
void bind_positional(Node& node, const RegisteredClass& entry, const std::string& path) {
  const Node* found = node.find("_args_");
  if (found == nullptr) return;
  const Node args = *found;
  const std::string where = place(args, path) + "._args_";
  if (!args.is_list()) {
    throw ConfigError(
        fmt::format("{} is a list of values, not a {}", where, Node::kind_name(args.kind())),
        "write _args_: [VALUE, …]");
  }
  node.erase("_args_");
  const std::vector<std::string> names = names_of(options_of(entry));
  if (args.items().size() > names.size()) {
    throw ConfigError(fmt::format("{}: {} values, but {} has {} options", where,
                                  args.items().size(), entry.name, names.size()),
                      fmt::format("in order: {}", fmt::join(names, ", ")));
  }
  for (std::size_t i = 0; i < args.items().size(); ++i) {
    if (const Node* keyword = node.find(names[i])) {
      throw ConfigError(
          fmt::format("{}: two values for {}: position {} and the key{}", where, names[i], i,
                      keyword->mark().text().empty() ? "" : " of " + keyword->mark().text()),
          fmt::format("keep one; positions stand for: {}", fmt::join(names, ", ")));
    }
    node.set(names[i], args.items()[i]);
  }
}

void refuse_partial(const Node& node, const RegisteredClass& entry, const std::string& path) {
  const bool later = std::any_of(std::begin(kCompletedLater), std::end(kCompletedLater),
                                 [&](const auto& kind) { return kind.first == entry.kind; });
  if (later || !read_flag(node, "_partial_", path)) return;
  throw ConfigError(fmt::format("{}._partial_: a {} is wanted here, not a factory of one",
                                place(*node.find("_partial_"), path), entry.kind),
                    fmt::format("remove _partial_, and give {} all its options", entry.name));
}

/// A factory's options are known names, though not all of them need be there.
void check_names(const Node& node, const RegisteredClass& entry, const std::string& path) {
  const std::vector<std::string> names = names_of(options_of(entry));
  for (const auto& [key, value] : node.entries()) {
    const std::string name = python_str(key);
    if (is_instantiation_key(name) || std::find(names.begin(), names.end(), name) != names.end())
      continue;
    const std::string near = base::nearest(name, names);
    throw ConfigError(
        fmt::format("{}.{}: no such option of {}", place(value, path), name, entry.name),
        fmt::format("{}options: {}", near.empty() ? "" : fmt::format("did you mean '{}'? ", near),
                    fmt::join(names, ", ")));
  }
}

}  // namespace

Call prepare_call(const Node& node, const std::string& kind, const std::string& path,
                  const Arguments& given, Use use) {
  Call call{nullptr, node};
  if (node.is_map() && !given.keywords.entries().empty())
    merge(call.options, given.keywords, {true, nullptr, path});
  call.entry = &find_class(call.options, kind, path);
  if (!given.positional.empty()) call.options.set("_args_", Node::list(given.positional));
  read_flag(call.options, "_recursive_", path);
  check_convert(call.options, path);
  if (use == Use::kPartial) {
    read_flag(call.options, "_partial_", path);
    call.options.erase("_partial_");
    Node named = call.options;
    bind_positional(named, *call.entry, path);
    check_names(named, *call.entry, path);
  } else {
    refuse_partial(call.options, *call.entry, path);
    bind_positional(call.options, *call.entry, path);
  }
  return call;
}

Node with_arguments(Node node, const Arguments& more) {
  if (!more.positional.empty()) {
    const Node* old = node.find("_args_");
    Node all = old == nullptr ? Node::list() : *old;
    all.items().insert(all.items().end(), more.positional.begin(), more.positional.end());
    node.set("_args_", std::move(all));
  }
  for (const auto& [key, value] : more.keywords.entries()) node.set(key.as_string(), value);
  return node;
}

}  // namespace polyphony::config
