// The golden cases of the original Python stack, one test a file of cases. The folder is
// POLYPHONY_GOLDEN_DIR where it is set, else the copy in tests/golden.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <set>

#include <nlohmann/json.hpp>

#include <polyphony/config/compose/compose.h>
#include <polyphony/config/compose/override.h>
#include <polyphony/config/compose/repository.h>
#include <polyphony/config/compose/sweep.h>
#include <polyphony/config/interpolate/interpolate.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/yaml.h>

namespace polyphony::config {
namespace {

using Json = nlohmann::ordered_json;

std::string golden_dir() {
  const char* replaced = std::getenv("POLYPHONY_GOLDEN_DIR");
  return (replaced ? std::string(replaced) : std::string(POLYPHONY_TEST_DIR) + "/golden") +
         "/config";
}

/// Integers beyond 64 bits, which the JSON library would round, become {"$int": DIGITS}.
std::string with_big_integers(const std::string& line) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size();) {
    const char c = line[i];
    if (quoted && c == '\\') {
      out += line.substr(i, 2);
      i += 2;
      continue;
    }
    if (c == '"') quoted = !quoted;
    const std::size_t end = line.find_first_not_of("-0123456789.eE+", i);
    const std::string number =
        quoted || (c != '-' && (c < '0' || c > '9')) ? "" : line.substr(i, end - i);
    if (number.size() >= 19 && number.find_first_of(".eE") == std::string::npos) {
      out += "{\"$int\":\"" + number + "\"}";
      i = end;
    } else if (!number.empty()) {
      out += number;
      i = end;
    } else {
      out += c;
      ++i;
    }
  }
  return out;
}

std::string decode_base64(const std::string& text) {
  return parse_yaml("!!binary \"" + text + "\"", "case").as_string();
}

Node from_json(const Json& json) {
  if (json.is_null()) return Node();
  if (json.is_boolean()) return Node(json.get<bool>());
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
  if (json.contains("$int")) return parse_yaml(json["$int"].get<std::string>(), "case");
  if (json.contains("$quoted")) return Node(json["$quoted"].get<std::string>());
  if (json.contains("$bytes")) return Node::bytes(decode_base64(json["$bytes"]));
  if (json.contains("$map")) {
    for (const Json& item : json["$map"])
      out.entries().emplace_back(from_json(item[0]), from_json(item[1]));
    return out;
  }
  for (const auto& [key, value] : json.items())
    out.entries().emplace_back(Node(key), from_json(value));
  return out;
}

/// Runs every case of a file; `check` says "" for a pass, else what differs.
void run_cases(const std::string& name, const std::function<std::string(const Json&)>& check) {
  std::ifstream file(golden_dir() + "/" + name);
  ASSERT_TRUE(file) << name;
  int passed = 0, total = 0;
  for (std::string line; std::getline(file, line);) {
    const Json item = Json::parse(with_big_integers(line));
    if (!item.contains("id")) continue;
    ++total;
    std::string difference;
    try {
      difference = check(item);
    } catch (const std::exception& error) {
      difference = std::string("unexpected: ") + error.what();
    }
    passed += difference.empty();
    EXPECT_EQ(difference, "") << item["id"];
  }
  EXPECT_GT(total, 0) << name;
  std::cout << name << ": " << passed << " of " << total << " pass\n";
}

std::string differs(const std::string& what, const std::string& got, const std::string& want) {
  return got == want ? "" : what + ": got " + got + "\nwant " + want + "\n";
}
std::string differs(const std::string& what, const Node& got, const Json& want) {
  if (got == from_json(want)) return "";
  return what + ": got " + to_tagged_json(got) + "\nwant " + want.dump() + "\n";
}

std::string error_differs(const Json& expect, const ComposeError& error) {
  const std::string want = expect.value("error", "no error");
  if (error.original_class() != want) {
    return error.original_class() + ": " + error.what() + "\nwant " + expect.dump();
  }
  std::string key = expect["message"].get<std::string>();
  const std::size_t at = key.find("full_key: ");
  if (at == std::string::npos) return "";
  key = key.substr(at + 10, key.find('\n', at) - at - 10);
  return key.empty() ? "" : differs("key", error.key(), key);
}

/// Compares with `expect`: the same value, or an error of the same class at the same key.
std::string against(const Json& expect, const char* field, const std::function<Node()>& actual) {
  try {
    const Node node = actual();
    if (expect.contains("error")) return "no error; expected " + expect["error"].get<std::string>();
    return differs(field, node, expect[field]);
  } catch (const ComposeError& error) {
    return error_differs(expect, error);
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
    const Json& expect = item["expect"];
    Node document;
    const std::string text = item["yaml"];
    const std::string difference = against(expect, "value", [&] {
      document = parse_yaml(text, "case.yaml");
      const Node* value = document.find("v");
      return value ? *value : Node();
    });
    if (!difference.empty() || !expect.contains("dump")) return difference;
    const Node* value = document.find("v");
    if (expect.value("missing", false) && !(value && value->is_missing()))
      return std::string("not missing");
    return differs("dump", to_yaml(document), expect["dump"].get<std::string>());
  });
}

TEST(Golden, YamlDump) {
  run_cases("yaml_dump.jsonl", [](const Json& item) -> std::string {
    if (item.contains("error")) return "";  // values that no Node can hold
    const Node value = from_json(item.contains("string") ? item["string"] : item["value"]);
    Node map = Node::map();
    map.set("k", value);
    std::string out = differs("text", to_yaml(map), item["text"].get<std::string>());
    if (!item.contains("key_text")) return out;
    Node keyed = Node::map();
    keyed.entries().emplace_back(value, Node(1));
    return out + differs("key", to_yaml(keyed), item["key_text"].get<std::string>());
  });
}

std::string type_name(OverrideType type) {
  static constexpr const char* kNames[] = {"CHANGE", "ADD", "FORCE_ADD", "DEL"};
  return kNames[static_cast<int>(type)];
}

std::string value_type(const Override& parsed) {
  if (!parsed.sweep) return parsed.has_value ? "ELEMENT" : "null";
  static constexpr const char* kNames[] = {"CHOICE_SWEEP", "RANGE_SWEEP", "INTERVAL_SWEEP",
                                           "GLOB_CHOICE_SWEEP"};
  const std::string name = kNames[static_cast<int>(parsed.sweep->kind)];
  return parsed.sweep->simple ? "SIMPLE_" + name : name;
}

std::string sweep_differs(const Override& parsed, const Json& want) {
  const Sweep& sweep = *parsed.sweep;
  std::string out;
  const Json& value = want["value"];
  if (value.contains("$choice") && !sweep.nested)
    out += differs("choices", Node::list(sweep.choices), value["$choice"]);
  if (value.contains("$range"))
    out += differs("range", Node::list({sweep.start, sweep.stop, sweep.step}), value["$range"]);
  if (value.contains("$interval"))
    out += differs("interval", Node::list({sweep.start, sweep.stop}), value["$interval"]);
  if (value.contains("shuffle") && value["shuffle"] != sweep.shuffle) out += "shuffle";
  if (value.contains("tags") && value["tags"] != Json(sweep.tags)) out += "tags";
  if (want.contains("value_str"))
    out += differs("text", parsed.value_text(), want["value_str"].get<std::string>());
  try {
    if (want.contains("sweep") || want.contains("sweep_error")) {
      const std::vector<std::string> values = sweep_values(parsed, nullptr);
      if (want.contains("sweep_error")) return out + "no error of the sweep";
      out += differs("sweep", Json(values).dump(), want["sweep"].dump());
    }
  } catch (const ComposeError& error) {
    if (!want.contains("sweep_error")) return out + error.what();
    out +=
        differs("error", error.original_class(), want["sweep_error"]["error"].get<std::string>());
  }
  return out;
}

TEST(Golden, OverrideParse) {
  run_cases("override_parse.jsonl", [](const Json& item) -> std::string {
    const Json& expect = item["expect"];
    Override parsed;
    try {
      parsed = parse_override(item["override"]);
    } catch (const ComposeError& error) {
      return error_differs(expect, error);
    }
    if (expect.contains("error")) return "no error";
    const Json& want = expect["parsed"];
    std::string out = differs("type", type_name(parsed.type), want["type"].get<std::string>());
    out += differs("key", parsed.key, want["key"].get<std::string>());
    out += differs("package", parsed.package ? Node(*parsed.package) : Node(), want["package"]);
    out += differs("key element", parsed.key_element(), want["key_element"].get<std::string>());
    out += differs("value type", value_type(parsed),
                   want["value_type"].is_null() ? "null" : want["value_type"].get<std::string>());
    if (parsed.sweep) return out + sweep_differs(parsed, want);
    if (want.contains("value_str") && want["value_str"].is_string())
      out += differs("text", parsed.value_text(), want["value_str"].get<std::string>());
    return out + differs("value", parsed.value, want["value"]);
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

bool is_hydras(const std::string& name) { return name.starts_with("hydra/"); }

/// What a composition says of itself beside the configuration.
std::string info_differs(const Json& info, const Composition& made, const ResolveContext& context) {
  std::string out =
      differs("dirname", made.override_dirname, info["override_dirname"].get<std::string>());
  Json choices = Json::object();
  for (const auto& [group, option] : made.choices) {
    if (!is_hydras(group)) choices[group] = option ? Json(*option) : Json();
  }
  out += differs("choices", choices.dump(), info["choices"].dump());
  Json files = Json::array();
  for (const ResolvedDefault& file : made.defaults) {
    if (is_hydras(file.config)) continue;
    files.push_back({{"config", file.config},
                     {"package", file.package},
                     {"self", file.self},
                     {"parent", file.parent}});
  }
  out += differs("defaults", files.dump(), info["defaults"].dump());
  if (info.contains("yaml"))
    out += differs("yaml", to_yaml(made.config), info["yaml"].get<std::string>());
  out +=
      differs("warnings", Json(made.warnings).dump(), info.value("warnings", Json::array()).dump());
  if (!info.contains("hydra")) return out;
  Node whole = made.config;
  whole.set("hydra", made.hydra);
  for (const auto& [key, value] : info["hydra"].items())
    out += differs(key, select(whole, key, context).value_or(Node()), value);
  return out;
}

TEST(Golden, Compose) {
  run_cases("cases.jsonl", [](const Json& item) {
    const bool whole = !item.contains("access");
    std::string info;
    const std::string difference =
        against(item["expect"], whole ? "resolved" : "value", [&]() -> Node {
          const Composition made = compose(request_of(item));
          ResolveContext context = context_of(item.value("env", Json::object()));
          context.throw_on_missing = item.value("throw_on_missing", false);
          if (item.contains("info")) info = info_differs(item["info"], made, context);
          if (whole) return resolve(made.config, context);
          std::string key;
          for (const Json& part : item["access"])
            key += (key.empty() ? "" : ".") + part.get<std::string>();
          return at_key(made.config, key, context);
        });
    return difference + info;
  });
}

/// Composes every job and compares it with what the original's job got.
std::string results_differ(const Json& item, const SweepPlan& plan) {
  std::string out;
  const ComposeRequest request = request_of(item);
  const Json& results = item["expect"]["job_results"];
  for (std::size_t i = 0; i < results.size() && i < plan.jobs.size(); ++i) {
    try {
      const Composition made = compose(job_request(request, plan, i));
      if (results[i].contains("error")) return out + "no error of a job";
      out += differs("job", made.config, results[i]["config"]);
      out += differs("dirname", made.override_dirname,
                     results[i]["override_dirname"].get<std::string>());
    } catch (const ComposeError& error) {
      out += error_differs(results[i], error);
    }
  }
  return out;
}

TEST(Golden, Multirun) {
  run_cases("multirun.jsonl", [](const Json& item) -> std::string {
    const Json& expect = item["expect"];
    SweepPlan plan;
    try {
      plan = expand_sweep(request_of(item));
    } catch (const ComposeError& error) {
      return error_differs(expect, error);
    }
    if (expect.contains("error")) return "no error";
    std::string out = differs("batches", Json(plan.batches).dump(), expect["batches"].dump());
    out += differs("hydra", Json(plan.hydra_overrides).dump(), expect["hydra_overrides"].dump());
    if (item.value("unordered", false)) {
      std::set<std::vector<std::string>> wanted;
      for (const Json& job : expect["jobs"]) wanted.insert(job.get<std::vector<std::string>>());
      const std::set<std::vector<std::string>> got(plan.jobs.begin(), plan.jobs.end());
      return got == wanted ? out : out + "other jobs";
    }
    out += differs("jobs", Json(plan.jobs).dump(), expect["jobs"].dump());
    return expect.contains("job_results") ? out + results_differ(item, plan) : out;
  });
}

}  // namespace
}  // namespace polyphony::config
