#include <polyphony/config/bind/schema.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <set>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/json.h>
#include <polyphony/config/bind/target.h>
#include <polyphony/config/rename/aliases.h>
#include <polyphony/config/yaml/yaml.h>

namespace polyphony::config {
namespace {

/// Types without rules of their own: ours, and JSON Schema's name.
const std::map<std::string, std::string, std::less<>> kPlainTypes = {
    {"bool", "boolean"}, {"null", "null"}, {"str", "string"}, {"dict", "object"}};

using Json = nlohmann::ordered_json;

/// "int or null" gives "int" and "null"; brackets keep together.
std::vector<std::string> split_type(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '[') ++depth;
    if (text[i] == ']') --depth;
    if (depth == 0 && text.compare(i, separator.size(), separator) == 0) {
      parts.emplace_back();
      i += separator.size() - 1;
    } else {
      parts.back() += text[i];
    }
  }
  return parts;
}

/// A default, bound or word as YAML types it; the text itself where it is no YAML.
Node parsed(const std::string& text) {
  try {
    return parse_yaml(text, "options");
  } catch (const ConfigError&) {
    return Node(text);
  }
}

bool is_kind(const std::string& type) {
  const auto& classes = registered_classes();
  return std::any_of(classes.begin(), classes.end(),
                     [&](const RegisteredClass& entry) { return entry.kind == type; });
}

/// Every name under which YAML may ask for a class.
std::vector<std::string> names_of(const RegisteredClass& entry) {
  std::vector<std::string> names = python_names_of(entry.name);
  names.insert(names.begin(), entry.name);
  return names;
}

/// "at least 2", "above 0", "in [0, 1)", "between 1 and 8" as bounds; others stay words.
void add_rule(Json& schema, const std::string& rule) {
  const auto number = [](const std::string& text) -> Json {
    const Node node = parsed(text);
    if (node.kind() == Node::Kind::kInt) return node.as_int();
    if (node.kind() == Node::Kind::kFloat) return node.as_float();
    return nullptr;
  };
  const auto set = [&](const char* key, const std::string& text) {
    if (const Json value = number(text); !value.is_null()) schema[key] = value;
  };
  for (const std::string& part : split_type(rule, ", ")) {
    if (part.starts_with("at least ")) set("minimum", part.substr(9));
    if (part.starts_with("at most ")) set("maximum", part.substr(8));
    if (part.starts_with("above ")) set("exclusiveMinimum", part.substr(6));
  }
  if (rule.starts_with("between ")) {
    const std::size_t both = rule.find(" and ");
    set("minimum", rule.substr(8, both - 8));
    set("maximum", rule.substr(both + 5));
  }
  const std::size_t comma = rule.find(", ");
  if (!rule.starts_with("in ") || rule.size() < 8 || comma == rule.npos) return;
  set(rule[3] == '(' ? "exclusiveMinimum" : "minimum", rule.substr(4, comma - 4));
  set(rule.back() == ')' ? "exclusiveMaximum" : "maximum",
      rule.substr(comma + 2, rule.size() - comma - 3));
}

/// Writes schemas, and remembers which kinds they refer to.
class Writer {
 public:
  /// "auto, int or list[int]": any of these.
  Json type(const std::string& text, const std::string& rule = "") {
    Json any = Json::array();
    for (const std::string& part : split_type(text, " or ")) {
      for (const std::string& one : split_type(part, ", ")) any.push_back(plain(one, rule));
    }
    if (any.size() == 1) return any[0];
    return {{"anyOf", std::move(any)}};
  }

  /// One option: its type, or a text with an interpolation.
  Json option(const FieldDoc& field) {
    Json schema;
    schema["description"] =
        field.rule.empty() ? field.doc : fmt::format("{} ({})", field.doc, field.rule);
    if (!field.required && !field.default_text.empty() && field.fields.empty())
      schema["default"] = default_of(field);
    Json any = Json::array();
    any.push_back(field.fields.empty() ? type(field.type, field.rule) : section(field.fields));
    if (field.type != "any") any.push_back({{"$ref", "#/$defs/interpolation"}});
    schema["anyOf"] = std::move(any);
    return schema;
  }

  /// A part of the configuration that Python's trees give a `_target_`, as the trainer.
  Json section(const std::vector<FieldDoc>& fields) {
    Json schema = mapping(fields);
    schema["properties"]["_target_"] = {{"type", "string"}};
    schema.erase("required");  // another file may give them
    return schema;
  }

  Json mapping(const std::vector<FieldDoc>& fields) {
    Json schema = {{"type", "object"}};
    Json required = Json::array();
    for (const FieldDoc& field : fields) {
      schema["properties"][field.name] = option(field);
      if (field.required) required.push_back(field.name);
    }
    if (!required.empty()) schema["required"] = std::move(required);
    schema["additionalProperties"] = false;
    return schema;
  }

  Json class_mapping(const RegisteredClass& entry) {
    Fields fields;
    entry.describe(fields);
    Json schema = mapping(fields.docs());
    schema["description"] = entry.doc;
    if (!schema.contains("properties")) schema["properties"] = Json::object();
    Json& properties = schema["properties"];
    properties["_target_"] = {{"enum", names_of(entry)}};
    properties["_args_"] = {{"type", "array"}};
    properties["_partial_"] = {{"type", "boolean"}};
    properties["_recursive_"] = {{"type", "boolean"}};
    properties["_convert_"] = {{"enum", Json::array({"none", "partial", "object", "all"})}};
    schema.erase("required");  // _args_ may give them, and a later file
    schema["required"] = Json::array({"_target_"});
    return schema;
  }

  /// "$defs" with interpolations and every kind that was referred to.
  Json definitions() {
    Json defs;
    defs["interpolation"] = {{"type", "string"}, {"pattern", R"(\$\{|^\?\?\?$)"}};
    while (!wanted_.empty()) {
      const std::string kind = *wanted_.begin();
      wanted_.erase(wanted_.begin());
      if (!defs.contains(kind)) defs[kind] = kind_schema(kind);
    }
    return defs;
  }

 private:
  Json plain(const std::string& text, const std::string& rule) {
    if (text.starts_with("list[") && text.ends_with("]")) {
      const std::string item = text.substr(5, text.size() - 6);
      return {{"type", "array"},
              {"items", {{"anyOf", {type(item), {{"$ref", "#/$defs/interpolation"}}}}}}};
    }
    if (text.starts_with("dict[str, ") && text.ends_with("]")) {
      const std::string item = text.substr(10, text.size() - 11);
      Json any = {type(item), {{"type", "null"}}, {{"$ref", "#/$defs/interpolation"}}};
      return {{"type", "object"}, {"additionalProperties", {{"anyOf", std::move(any)}}}};
    }
    Json schema;
    if (text == "int" || text == "float") {
      schema["type"] = text == "int" ? "integer" : "number";
      add_rule(schema, rule);
    } else if (const auto plain = kPlainTypes.find(text); plain != kPlainTypes.end()) {
      schema["type"] = plain->second;
    } else if (is_kind(text)) {
      wanted_.insert(text);
      Json any = Json::array();
      any.push_back({{"$ref", "#/$defs/" + text}});
      any.push_back({{"type", "null"}});
      schema["anyOf"] = std::move(any);
    } else if (text.find('|') != text.npos) {
      schema = choice(text, rule);
    } else if (text != "any") {
      schema["type"] = "string";  // a word or a form: "auto", "DD:HH:MM:SS"
    } else {
      schema = Json::object();
    }
    return schema;
  }

  /// "32|bf16|float": words, which YAML may read as numbers, and types.
  Json choice(const std::string& text, const std::string& rule) {
    Json words = Json::array();
    Json any = Json::array();
    for (const std::string& part : split_type(text, "|")) {
      if (part == "int" || part == "float" || part == "bool" || part == "str") {
        any.push_back(plain(part, rule));
        continue;
      }
      words.push_back(part);
      const Node value = parsed(part);
      if (value.kind() == Node::Kind::kInt) words.push_back(value.as_int());
    }
    Json named = {{"enum", std::move(words)}};
    if (any.empty()) return named;
    any.push_back(std::move(named));
    return {{"anyOf", std::move(any)}};
  }

  /// One `if` a class: an editor then shows the faults of that class, not of every alternative.
  Json kind_schema(const std::string& kind) {
    Json schema = {{"type", "object"}, {"required", Json::array({"_target_"})}};
    Json targets = Json::array();
    Json cases = Json::array();
    for (const RegisteredClass& entry : registered_classes()) {
      if (entry.kind != kind) continue;
      const std::vector<std::string> names = names_of(entry);
      for (const std::string& name : names) targets.push_back(name);
      Json chosen = {{"properties", {{"_target_", {{"enum", names}}}}},
                     {"required", Json::array({"_target_"})}};
      cases.push_back({{"if", std::move(chosen)}, {"then", class_mapping(entry)}});
    }
    schema["properties"]["_target_"] = {{"type", "string"}, {"examples", std::move(targets)}};
    schema["allOf"] = std::move(cases);
    return schema;
  }

  static Json default_of(const FieldDoc& field) {
    if (field.type == "str" || field.type.find('|') != field.type.npos)
      return field.default_text == "''" ? "" : field.default_text;
    const Node node = parsed(field.default_text);
    switch (node.kind()) {
      case Node::Kind::kBool:
        return node.as_bool();
      case Node::Kind::kInt:
        return node.as_int();
      case Node::Kind::kFloat:
        return node.as_float();
      case Node::Kind::kNull:
        return nullptr;
      case Node::Kind::kList:
        if (node.items().empty()) return Json::array();
        break;
      case Node::Kind::kMap:
        if (node.entries().empty()) return Json::object();
        break;
      case Node::Kind::kString:
        break;
    }
    return field.default_text;
  }

  std::set<std::string> wanted_;
};

std::string finished(const Json& schema, Writer& writer) {
  Json whole = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}};
  whole.update(schema);
  whole["$defs"] = writer.definitions();
  return whole.dump(2);
}

}  // namespace

std::string class_schema(const RegisteredClass& entry) {
  Writer writer;
  Json schema = {{"title", entry.name}};
  schema.update(writer.class_mapping(entry));
  return finished(schema, writer);
}

std::string root_schema(const std::string& title, const std::vector<FieldDoc>& options) {
  Writer writer;
  Json schema = {{"title", title}};
  schema.update(writer.mapping(options));
  schema["additionalProperties"] = true;
  schema["properties"]["defaults"] = {{"type", "array"},
                                      {"description", "the defaults list: files to compose"}};
  schema["properties"]["aliases"] = {
      {"type", "object"},
      {"description", "a class name of another code base to one of ours"},
      {"additionalProperties", {{"type", "string"}}}};
  schema["properties"]["compat"] = {
      {"type", "object"},
      {"properties",
       {{"accept_renamed",
         {{"type", "boolean"},
          {"description", "translate old options with a warning instead of refusing them"}}}}}};
  return finished(schema, writer);
}

}  // namespace polyphony::config
