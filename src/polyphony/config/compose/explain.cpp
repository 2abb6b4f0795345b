#include <polyphony/base/json.h>
#include <polyphony/config/compose/provenance.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/base/nearest.h>
#include <polyphony/config/interpolate/interpolate.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

constexpr int kDepth = 8;  // of references to references

std::string join(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

/// ".lr" as seen from "task.optim.rate" is "task.optim.lr"; each further dot climbs.
std::string absolute(const std::string& reference, const std::string& at) {
  std::size_t dots = reference.find_first_not_of('.');
  if (dots == 0 || dots == reference.npos) return reference;
  std::string base = at;
  for (; dots > 0; --dots) {
    const std::size_t dot = base.rfind('.');
    base = dot == base.npos ? "" : base.substr(0, dot);
  }
  return join(base, reference.substr(reference.find_first_not_of('.')));
}

/// The innermost ${…} of a text, without the braces.
std::vector<std::string> references_of(const std::string& text) {
  std::vector<std::string> found;
  for (std::size_t end = text.find('}'); end != text.npos; end = text.find('}', end + 1)) {
    const std::size_t start = text.rfind("${", end);
    if (start == text.npos) continue;
    const std::string inner = text.substr(start + 2, end - start - 2);
    if (inner.find('}') == inner.npos) found.push_back(inner);
  }
  return found;
}

/// Explains one value after the other of one composition.
class Explainer {
 public:
  Explainer(const Composition& composition, const Provenance& provenance)
      : root_(composition.config), provenance_(provenance) {
    context_.hydra = composition.hydra;
  }

  void leaves(const Node& node, const std::string& path, std::vector<Explanation>& out) const {
    if (node.is_map() && !node.entries().empty()) {
      for (const auto& [key, value] : node.entries())
        leaves(value, join(path, python_str(key)), out);
      return;
    }
    out.push_back(one(node, path, kDepth));
  }

 private:
  Explanation one(const Node& node, const std::string& path, int depth) const {
    Explanation value;
    value.key = path;
    value.value = resolved(node, path);
    value.history = provenance_.history(path);
    if (!node.is_string() || depth == 0) return value;
    for (const std::string& reference : references_of(node.as_string())) {
      if (reference.starts_with("oc.env:")) {
        value.environment.push_back(reference.substr(7, reference.find(',') - 7));
        continue;
      }
      const std::string key = absolute(reference, path);
      const Node* target = root_.select(key);
      if (target != nullptr && target->is_scalar())
        value.references.push_back(one(*target, key, depth - 1));
    }
    return value;
  }

  Node resolved(const Node& node, const std::string& path) const {
    if (!node.is_string()) return node;
    try {
      return resolve_text(node.as_string(), root_, context_, path);
    } catch (const ComposeError&) {
      return node;  // a variable that is not set, a missing key: the text says more than an error
    }
  }

  const Node& root_;
  const Provenance& provenance_;
  ResolveContext context_;
};

void all_keys(const Node& node, const std::string& path, std::vector<std::string>& keys) {
  for (const auto& [key, value] : node.entries()) {
    const std::string full = join(path, python_str(key));
    keys.push_back(full);
    all_keys(value, full, keys);
  }
}

std::string shown(const Setting& setting) { return setting.removed ? "(removed)" : setting.value; }

void add_text(const Explanation& value, const std::string& indent, std::string& out) {
  out += fmt::format("{}{}: {}\n", indent, value.key, python_str(value.value));
  const auto& history = value.history;
  for (std::size_t i = history.size(); i-- > 0;) {
    out += fmt::format("{}  {} {}  {}\n", indent, i + 1 == history.size() ? "set by  " : "replaced",
                       history[i].mark.text(), shown(history[i]));
  }
  if (history.empty()) out += indent + "  set by   Polyphony\n";
  for (const std::string& name : value.environment)
    out += fmt::format("{}  reads    environment variable {}\n", indent, name);
  for (const Explanation& reference : value.references) add_text(reference, indent + "    ", out);
}

nlohmann::ordered_json json_of(const Mark& mark) {
  nlohmann::ordered_json json;
  const std::string source = mark.source ? *mark.source : "";
  if (source.starts_with("override ")) {
    json["override"] = source.substr(9);
  } else {
    json["file"] = source;
    json["line"] = mark.line;
  }
  return json;
}

nlohmann::ordered_json json_of(const Explanation& value) {
  nlohmann::ordered_json json;
  json["key"] = value.key;
  json["value"] = parse_ordered_json(to_json(value.value));
  json["history"] = nlohmann::ordered_json::array();
  for (auto it = value.history.rbegin(); it != value.history.rend(); ++it) {
    nlohmann::ordered_json item = json_of(it->mark);
    item["value"] = it->removed ? nlohmann::ordered_json() : nlohmann::ordered_json(it->value);
    json["history"].push_back(std::move(item));
  }
  if (!value.environment.empty()) json["environment"] = value.environment;
  for (const Explanation& reference : value.references)
    json["references"].push_back(json_of(reference));
  return json;
}

}  // namespace

std::vector<Explanation> explain(const Composition& composition, const Provenance& provenance,
                                 const std::string& key) {
  const Node* node = key.empty() ? &composition.config : composition.config.select(key);
  if (node == nullptr) {
    std::vector<std::string> keys;
    all_keys(composition.config, "", keys);
    const std::string near = base::nearest(key, keys);
    const auto& history = provenance.history(key);
    throw ComposeError("ConfigKeyError",
                       history.empty() ? fmt::format("Key '{}' is not in the configuration", key)
                                       : fmt::format("Key '{}' was removed by {}", key,
                                                     history.back().mark.text()),
                       near.empty() ? "`polyphony compose` prints all keys"
                                    : fmt::format("did you mean '{}'?", near),
                       key);
  }
  std::vector<Explanation> values;
  Explainer(composition, provenance).leaves(*node, key, values);
  return values;
}

std::string explanation_text(const std::vector<Explanation>& values) {
  std::string out;
  for (const Explanation& value : values) add_text(value, "", out);
  return out;
}

std::string explanation_json(const std::vector<Explanation>& values) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Explanation& value : values) json.push_back(json_of(value));
  return json.dump(2);
}

}  // namespace polyphony::config
