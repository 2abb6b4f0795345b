// The golden cases of the original Python stack, one test a file of cases. A case that is known not
// to pass yet stands in known_gaps.txt; a listed case that passes is a failure too.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

#include <polyphony/config/compose.h>
#include <polyphony/config/dump.h>
#include <polyphony/config/errors.h>
#include <polyphony/config/interpolate.h>
#include <polyphony/config/override.h>
#include <polyphony/config/sweep.h>
#include <polyphony/config/yaml.h>

namespace polyphony::config {
namespace {

using Json = nlohmann::ordered_json;

std::string golden_dir() {
  const char* replaced = std::getenv("POLYPHONY_GOLDEN_DIR");
  return (replaced ? std::string(replaced) : std::string(POLYPHONY_TEST_DIR) + "/golden") +
         "/config";
}

Node from_json(const Json& json) {
  if (json.is_null()) return Node();
  if (json.is_boolean()) return Node(json.get<bool>());
  if (json.is_number_float() && std::fabs(json.get<double>()) > 9e18)
    return Node(json.get<double>());
  if (json.is_number_integer()) return Node(json.get<std::int64_t>());
  if (json.is_number_float()) return Node(json.get<double>());
  if (json.is_string()) return Node(json.get<std::string>());
  Node out = json.is_array() ? Node::list() : Node::map();
  if (json.is_array()) {
    for (const Json& item : json) out.items().push_back(from_json(item));
    return out;
  }
  if (json.contains("$float")) {
    const std::string name = json["$float"];
    const double inf = std::numeric_limits<double>::infinity();
    return Node(name == "nan" ? std::nan("") : name == "inf" ? inf : -inf);
  }
  if (json.contains("$quoted")) return Node(json["$quoted"].get<std::string>());
  if (json.contains("$map")) {
    for (const Json& item : json["$map"])
      out.entries().emplace_back(from_json(item[0]), from_json(item[1]));
    return out;
  }
  for (const auto& [key, value] : json.items())
    out.entries().emplace_back(Node(key), from_json(value));
  return out;
}

std::set<std::string> known_gaps() {
  std::ifstream file(std::string(POLYPHONY_TEST_DIR) + "/config/known_gaps.txt");
  std::set<std::string> ids;
  for (std::string line; std::getline(file, line);) ids.insert(line);
  return ids;
}

/// Runs every case of a file; `check` says "" for a pass, else what differs.
void run_cases(const std::string& name, const std::function<std::string(const Json&)>& check) {
  const std::set<std::string> gaps = known_gaps();
  std::ifstream file(golden_dir() + "/" + name);
  ASSERT_TRUE(file) << name;
  int passed = 0, total = 0;
  for (std::string line; std::getline(file, line);) {
    const Json item = Json::parse(line);
    if (!item.contains("id")) continue;
    const std::string id = item["id"];
    ++total;
    std::string difference;
    try {
      difference = check(item);
    } catch (const std::exception& error) {
      difference = std::string("unexpected: ") + error.what();
    }
    passed += difference.empty();
    if (difference.empty()) {
      EXPECT_FALSE(gaps.contains(id)) << id << " passes: remove it from known_gaps.txt";
    } else if (!gaps.contains(id)) {
      ADD_FAILURE() << "GAP " << id << "\n" << difference;
    }
  }
  std::cout << name << ": " << passed << " of " << total << " pass\n";
}

/// Compares with `expect`: the same value, or an error of the same class.
std::string against(const Json& expect, const char* field, const std::function<Node()>& actual) {
  try {
    const Node node = actual();
    if (expect.contains("error")) return "no error; expected " + expect["error"].get<std::string>();
    if (node == from_json(expect[field])) return "";
    return "got " + to_json(node) + "\nwant " + expect[field].dump();
  } catch (const ComposeError& error) {
    if (expect.contains("error") && expect["error"] == error.original_class()) return "";
    return error.original_class() + ": " + error.what() + "\nwant " + expect.dump();
  }
}

ResolveContext context_of(const Json& env) {
  ResolveContext context;
  context.env = [env](const std::string& name) -> std::optional<std::string> {
    if (env.contains(name)) return env[name].get<std::string>();
    return std::nullopt;
  };
  return context;
}

ComposeRequest request_of(const Json& item) {
  ComposeRequest request;
  request.config_dir = golden_dir() + "/" + item["config_dir"].get<std::string>();
  if (item["config_name"].is_string()) request.config_name = item["config_name"];
  for (const Json& text : item["overrides"]) request.overrides.push_back(text);
  if (item.contains("version_base") && item["version_base"].is_string())
    request.version_base = item["version_base"];
  request.env = context_of(item.value("env", Json::object())).env;
  return request;
}

TEST(Golden, YamlScalars) {
  run_cases("yaml_scalars.jsonl", [](const Json& item) {
    Node document;
    const std::string text = item["yaml"];
    const std::string difference = against(item["expect"], "value", [&] {
      document = parse_yaml(text, "case.yaml");
      const Node* value = document.find("v");
      return value ? *value : Node();
    });
    if (!difference.empty() || !item["expect"].contains("dump")) return difference;
    const std::string dump = to_yaml(document);
    return dump == item["expect"]["dump"] ? "" : "dump " + dump;
  });
}

TEST(Golden, YamlDump) {
  run_cases("yaml_dump.jsonl", [](const Json& item) -> std::string {
    const Node value = from_json(item.contains("string") ? item["string"] : item["value"]);
    Node map = Node::map();
    map.set("k", value);
    const std::string text = to_yaml(map);
    if (item.contains("text") && text != item["text"])
      return "got " + text + "want " + item["text"].get<std::string>();
    if (!item.contains("key_text")) return "";
    Node keyed = Node::map();
    keyed.entries().emplace_back(value, Node(1));
    const std::string key = to_yaml(keyed);
    return key == item["key_text"]
               ? ""
               : "key got " + key + "want " + item["key_text"].get<std::string>();
  });
}

TEST(Golden, OverrideParse) {
  run_cases("override_parse.jsonl", [](const Json& item) -> std::string {
    const Json& expect = item["expect"];
    try {
      const Override parsed = parse_override(item["override"]);
      if (expect.contains("error")) return "no error";
      const Json& want = expect["parsed"];
      if (want["key"] != parsed.key) return "key " + parsed.key;
      if (want["package"].is_string() != parsed.package.has_value()) return "package";
      if (want.contains("value_str") && want["value_str"].is_string() &&
          want["value_str"] != parsed.value_text()) {
        return "value_text " + parsed.value_text() + "\nwant " +
               want["value_str"].get<std::string>();
      }
      if (want["value_type"] != "ELEMENT") return parsed.sweep ? "" : "no sweep";
      if (parsed.sweep) return "a sweep";
      return parsed.value == from_json(want["value"]) ? "" : "got " + to_json(parsed.value);
    } catch (const ComposeError& error) {
      return expect.contains("error") ? "" : std::string(error.what());
    }
  });
}

TEST(Golden, Interpolations) {
  std::ifstream file(golden_dir() + "/interp_exprs.jsonl");
  std::string line;
  std::getline(file, line);
  const Json header = Json::parse(line);
  run_cases("interp_exprs.jsonl", [&](const Json& item) {
    return against(item["expect"], "value", [&] {
      Node root = from_json(header["context"]);
      root.set("target", Node(item["expr"].get<std::string>()));
      return resolve_text(item["expr"], root, context_of(header["env"]), "target");
    });
  });
}

TEST(Golden, Compose) {
  run_cases("cases.jsonl", [](const Json& item) {
    const bool whole = item["expect"].contains("resolved") || item["expect"].contains("error");
    return against(item["expect"], whole ? "resolved" : "value", [&] {
      const Composition made = compose(request_of(item));
      ResolveContext context = context_of(item.value("env", Json::object()));
      context.hydra = made.hydra;
      Node out = resolve(made.config, context);
      if (!item.contains("access")) return out;
      const Node* value = out.select(item["access"].get<std::string>());
      return value ? *value : Node();
    });
  });
}

TEST(Golden, Multirun) {
  run_cases("multirun.jsonl", [](const Json& item) -> std::string {
    const Json& expect = item["expect"];
    try {
      const SweepPlan plan = expand_sweep(request_of(item));
      if (expect.contains("error")) return "no error";
      if (item.value("unordered", false))
        return plan.jobs.size() == expect["jobs"].size() ? "" : "number of jobs";
      return Json(plan.jobs) == expect["jobs"]
                 ? ""
                 : "got " + Json(plan.jobs).dump() + "\nwant " + expect["jobs"].dump();
    } catch (const ComposeError& error) {
      return expect.contains("error") ? "" : std::string(error.what());
    }
  });
}

}  // namespace
}  // namespace polyphony::config
