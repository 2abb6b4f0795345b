#include <polyphony/config/interpolate/interpolate.h>

#include <algorithm>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/nearest.h>
#include <polyphony/config/interpolate/key_path.h>
#include <polyphony/config/interpolate/resolvers.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/interpolation_grammar.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

constexpr int kMaxDepth = 150;
/// Bounds on what a configuration may grow to by its interpolations.
constexpr std::size_t kMaxNodes = 1'000'000;
constexpr std::size_t kMaxText = 16'000'000;

/// What an interpolation stands for.
struct Value {
  Node node;                  ///< where `raw` is null
  const Node* raw = nullptr;  ///< a mapping or list of the configuration, not yet resolved
  KeyPath place;              ///< of `raw`

  const Node& shown() const { return raw != nullptr ? *raw : node; }
};

/// Evaluates texts and nodes against one root.
class Resolver {
 public:
  Resolver(const Node& root, const ResolveContext& context) : root_(root), context_(context) {}

  /// The node with every ${...} under it replaced. @param at  where the node stands
  Node value(const Node& node, KeyPath& at) {
    if (node.is_list() || node.is_map()) return container(node, at);
    if (node.is_missing() && context_.throw_on_missing) {
      throw ComposeError(
          "MissingMandatoryValue", fmt::format("Missing mandatory value: {}", dotted(at)),
          fmt::format("give it a value: {}=<value>", dotted(at)), dotted(at), node.mark());
    }
    if (!has_interpolation(node)) return node;
    Node out = finish(evaluate(node, at));
    out.set_mark(node.mark());
    return out;
  }

  /// The value at a key; nothing where absent or missing. @throws ResolverError for a key that
  /// leads through a plain value (ConfigTypeError) or into a list by a word (TypeError)
  std::optional<Value> find(const KeyPath& keys, const KeyPath& base, bool throw_on_missing) {
    std::vector<std::unique_ptr<Node>> held;
    const Node* node = raw_at(base);
    KeyPath at = base;
    bool raw = true;  // `node` is a part of the configuration, not of a computed value
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!node->is_map() && !node->is_list()) {
        throw ResolverError{
            "ConfigTypeError",
            fmt::format("Error trying to access {}: node `{}` is not a container and thus cannot "
                        "contain `{}`",
                        dotted(keys), dotted(KeyPath(keys.begin(), keys.begin() + i)), keys[i])};
      }
      if (node->is_list() && !is_index(keys[i])) {
        throw ResolverError{"TypeError", fmt::format("Index '{}' (str) is not an int", keys[i])};
      }
      node = child_of(*node, keys[i]);
      if (node == nullptr) return std::nullopt;
      at.push_back(keys[i]);
      if (node->is_missing()) {
        if (throw_on_missing) throw ResolverError{"MissingMandatoryValue", dotted(at)};
        return i + 1 == keys.size() ? std::optional<Value>({*node, nullptr, {}}) : std::nullopt;
      }
      if (!raw || !has_interpolation(*node)) continue;
      Value target = evaluate(*node, at);
      if (target.raw != nullptr) {
        node = target.raw;
        at = std::move(target.place);
      } else {
        node = held.emplace_back(std::make_unique<Node>(std::move(target.node))).get();
        raw = false;
      }
    }
    if (raw && !node->is_scalar()) return Value{{}, node, std::move(at)};
    return Value{*node, nullptr, {}};
  }

  Node finish(Value value) {
    if (value.raw == nullptr) return std::move(value.node);
    return container(*value.raw, value.place);
  }

 private:
  /// Marks a text as being evaluated: meeting it again is a circle.
  struct Active {
    Active(Resolver& by, const Node& of, const KeyPath& at) : resolver(by), node(&of) {
      fresh = resolver.active_.insert(node).second;
      if (!fresh || ++resolver.depth_ > kMaxDepth) {
        if (fresh) leave();
        resolver.fail("InterpolationResolutionError", "Recursive interpolation detected", of, at,
                      "break the circle");
      }
    }
    ~Active() { leave(); }
    Active(const Active&) = delete;
    Active& operator=(const Active&) = delete;
    void leave() {
      --resolver.depth_;
      resolver.active_.erase(node);
    }
    Resolver& resolver;
    const Node* node;
    bool fresh = false;
  };

  [[noreturn]] void fail(const std::string& type, const std::string& fact, const Node& node,
                         const KeyPath& at, const std::string& remedy = "") const {
    const std::string key = dotted(at);
    std::string shown = python_str(node);
    if (shown.size() > 200) shown = shown.substr(0, 200) + "…";
    throw ComposeError(type, fmt::format("{}: {} (in '{}')", key, fact, shown), remedy, key,
                       node.mark());
  }

  Node container(const Node& node, KeyPath& at) {
    if (++depth_ > kMaxDepth) {
      fail("InterpolationResolutionError", "nested too deeply, or a circle", node, at);
    }
    nodes_ += node.items().size() + node.entries().size();
    if (nodes_ > kMaxNodes) {
      fail("InterpolationResolutionError",
           fmt::format("the interpolations make more than {} values", kMaxNodes), Node("..."), at);
    }
    Node out = node.is_list() ? Node::list() : Node::map();
    out.set_mark(node.mark());
    out.items().reserve(node.items().size());
    out.entries().reserve(node.entries().size());
    std::size_t index = 0;
    for (const Node& item : node.items()) {
      at.push_back(std::to_string(index++));
      out.items().push_back(value(item, at));
      at.pop_back();
    }
    for (const auto& [key, item] : node.entries()) {
      at.push_back(python_str(key));
      out.append(key, value(item, at));
      at.pop_back();
    }
    --depth_;
    return out;
  }

  const Node* raw_at(const KeyPath& path) const {
    const Node* node = &root_;
    for (const std::string& part : path) {
      const Node* next = node->is_scalar() ? nullptr : child_of(*node, part);
      if (next == nullptr) return node;
      node = next;
    }
    return node;
  }

  Value evaluate(const Node& node, const KeyPath& at);
  friend class Evaluation;

  const Node& root_;
  const ResolveContext& context_;
  std::set<const Node*> active_;
  int depth_ = 0;
  std::size_t nodes_ = 0;
  std::size_t text_ = 0;
  std::unique_ptr<Node> hydra_root_;
};

/// One text under evaluation; what its resolvers see of the configuration.
class Evaluation final : public ResolverScope {
 public:
  Evaluation(Resolver& resolver, const Node& node, const KeyPath& at)
      : resolver_(resolver), node_(node), at_(at) {
    if (!at_.empty()) parent_.assign(at_.begin(), at_.end() - 1);
  }

  Value run(const Expression& expression) {
    switch (expression.kind) {
      case Expression::Kind::kLiteral:
        return {expression.literal, nullptr, {}};
      case Expression::Kind::kText:
        if (expression.parts.size() == 1 && expression.parts[0].is_interpolation()) {
          return run(expression.parts[0]);
        }
        return {Node(joined(expression.parts)), nullptr, {}};
      case Expression::Kind::kQuoted:
        return {Node(joined(expression.parts)), nullptr, {}};
      case Expression::Kind::kList: {
        Node list = Node::list();
        for (const Expression& part : expression.parts) list.items().push_back(whole(part));
        return {std::move(list), nullptr, {}};
      }
      case Expression::Kind::kMap: {
        Node map = Node::map();
        for (std::size_t i = 0; i + 1 < expression.parts.size(); i += 2) {
          put(map, whole(expression.parts[i]), whole(expression.parts[i + 1]));
        }
        return {std::move(map), nullptr, {}};
      }
      case Expression::Kind::kKey:
        return look_up(key_text(expression.parts, expression.parts.size()));
      case Expression::Kind::kCall:
        return {call(expression), nullptr, {}};
    }
    return {};
  }

  std::optional<Node> select(const std::string& key) override {
    KeyPath base;
    const std::optional<std::string> rest = root_of(key, base);
    if (!rest) throw ResolverError{"ConfigKeyError", fmt::format("Error resolving key '{}'", key)};
    try {
      const std::optional<Value> found =
          resolver_.find(rest->empty() ? KeyPath{} : split_key(*rest), base, false);
      if (!found) return std::nullopt;
      return resolver_.finish(*found);
    } catch (const ResolverError& error) {
      if (error.type == "ConfigTypeError") return std::nullopt;
      throw;
    }
  }

  std::optional<Node> select_hydra(const std::string& key) override {
    if (!resolver_.hydra_root_) {
      resolver_.hydra_root_ = std::make_unique<Node>(resolver_.root_);
      resolver_.hydra_root_->set("hydra", resolver_.context_.hydra);
    }
    Resolver inside(*resolver_.hydra_root_, resolver_.context_);
    inside.depth_ = resolver_.depth_ + 1;
    KeyPath path = split_key(key);
    try {
      const std::optional<Value> found = inside.find(path, {"hydra"}, false);
      if (!found) return std::nullopt;
      return inside.finish(*found);
    } catch (const ResolverError& error) {
      if (error.type == "ConfigTypeError") return std::nullopt;
      throw;
    }
  }

  Node decode(const std::string& text) override {
    try {
      return resolver_.finish(run(parse_element(text)));
    } catch (const ComposeError& error) {
      if (error.original_class() != "GrammarParseError") throw;
      throw ResolverError{"GrammarParseError", error.what()};
    }
  }

  Node adopt(const Node& value) override {
    Resolver inside(resolver_.root_, resolver_.context_);
    inside.depth_ = resolver_.depth_ + 1;
    KeyPath at = at_;
    return inside.value(value, at);
  }

  std::string caller() const override { return dotted(at_); }
  const ResolveContext& context() const override { return resolver_.context_; }

 private:
  Node whole(const Expression& expression) { return resolver_.finish(run(expression)); }

  static void put(Node& map, Node key, Node value) {
    for (auto& [name, old] : map.entries()) {
      if (!same_key(name, key)) continue;
      old = std::move(value);
      return;
    }
    map.append(std::move(key), std::move(value));
  }

  /// The parts as Python's str() shows them: a mapping with its ${...} as written.
  std::string joined(const std::vector<Expression>& parts) {
    std::string out;
    for (const Expression& part : parts) out += python_str(run(part).shown());
    resolver_.text_ += out.size();
    if (resolver_.text_ > kMaxText) {
      resolver_.fail("InterpolationResolutionError",
                     fmt::format("the interpolations make more than {} characters", kMaxText),
                     node_, at_);
    }
    return out;
  }

  std::string key_text(const std::vector<Expression>& parts, std::size_t count) {
    std::string key;
    for (std::size_t i = 0; i < count; ++i) {
      const Value part = run(parts[i]);
      if (!part.shown().is_string()) {
        resolver_.fail("InterpolationResolutionError",
                       fmt::format("a key made of ${{...}} must be a string, not {} ({})",
                                   python_repr(part.shown()), Node::kind_name(part.shown().kind())),
                       node_, at_, "str() has no counterpart here: write the key as text");
      }
      key += part.shown().as_string();
    }
    return key;
  }

  /// Takes the leading dots: "." is the level of the text itself. Nothing for too many.
  std::optional<std::string> root_of(const std::string& key, KeyPath& base) const {
    const std::size_t dots = std::min(key.find_first_not_of('.'), key.size());
    if (dots == 0) return key;
    if (dots - 1 > parent_.size()) return std::nullopt;
    base.assign(parent_.begin(), parent_.end() - static_cast<std::ptrdiff_t>(dots - 1));
    return key.substr(dots);
  }

  Value look_up(const std::string& key) {
    KeyPath base;
    const std::optional<std::string> rest = root_of(key, base);
    if (!rest) {
      resolver_.fail("InterpolationKeyError",
                     fmt::format("Error resolving key '{}': more dots than levels", key), node_,
                     at_);
    }
    const KeyPath keys = split_key(*rest);
    try {
      std::optional<Value> found = resolver_.find(keys, base, true);
      if (!found) not_found(*rest, keys, base);
      const bool is_parent = found->raw != nullptr && found->place.size() <= parent_.size() &&
                             std::equal(found->place.begin(), found->place.end(), parent_.begin());
      if (is_parent) {
        resolver_.fail("InterpolationResolutionError", "Interpolation to parent node detected",
                       node_, at_, "a mapping cannot contain itself");
      }
      return *std::move(found);
    } catch (const ResolverError& error) {
      if (error.type == "MissingMandatoryValue") {
        resolver_.fail("InterpolationToMissingValueError",
                       fmt::format("Missing mandatory value: {}", error.what), node_, at_,
                       fmt::format("give it a value: {}=<value>", error.what));
      }
      resolver_.fail(
          "InterpolationResolutionError",
          fmt::format("{} raised while resolving interpolation: {}", error.type, error.what), node_,
          at_, error.remedy);
    }
  }

  [[noreturn]] void not_found(const std::string& key, const KeyPath& keys,
                              const KeyPath& base) const {
    const Node* node = resolver_.raw_at(base);
    std::string near;
    for (const std::string& part : keys) {
      const Node* next = node->is_scalar() ? nullptr : child_of(*node, part);
      if (next == nullptr) {
        std::vector<std::string> names;
        for (const auto& [name, item] : node->entries()) names.push_back(python_str(name));
        near = base::nearest(part, names);
        break;
      }
      node = next;
    }
    std::string remedy = near.empty() ? "" : fmt::format("did you mean '{}'? Else ", near);
    remedy += key.starts_with('.')
                  ? "define it beside the text, or correct the name"
                  : fmt::format(
                        "write '{0}: VALUE' into a file of the composition, or +{0}=VALUE "
                        "on the command line",
                        key);
    resolver_.fail("InterpolationKeyError", fmt::format("Interpolation key '{}' not found", key),
                   node_, at_, remedy);
  }

  Node call(const Expression& expression) {
    const std::string name = key_text(expression.parts, expression.names);
    std::vector<Node> arguments;
    for (std::size_t i = expression.names; i < expression.parts.size(); ++i) {
      arguments.push_back(whole(expression.parts[i]));
    }
    std::optional<Node> result;
    try {
      result = call_resolver(name, arguments, *this);
    } catch (const ResolverError& error) {
      resolver_.fail(
          "InterpolationResolutionError",
          fmt::format("{} raised while resolving interpolation: {}", error.type, error.what), node_,
          at_, error.remedy);
    }
    if (result) return *std::move(result);
    const std::vector<std::string> known = resolver_names(resolver_.context_);
    const std::string near = base::nearest(name, known);
    resolver_.fail("UnsupportedInterpolationType", fmt::format("no resolver is named '{}'", name),
                   node_, at_,
                   fmt::format("{}known: {}", near.empty() ? "" : "did you mean '" + near + "'? ",
                               fmt::join(known, ", ")));
  }

  Resolver& resolver_;
  const Node& node_;
  const KeyPath& at_;
  KeyPath parent_;
};

Value Resolver::evaluate(const Node& node, const KeyPath& at) {
  const Active active(*this, node, at);
  Expression expression;
  try {
    expression = parse_interpolations(node.as_string());
  } catch (const ComposeError& error) {
    fail(error.original_class(), error.fact(), node, at, error.remedy());
  }
  if (++nodes_ > kMaxNodes) {
    fail("InterpolationResolutionError", "too many interpolations to resolve", node, at);
  }
  return Evaluation(*this, node, at).run(expression);
}

}  // namespace

Node resolve(const Node& root, const ResolveContext& context) {
  KeyPath at;
  return Resolver(root, context).value(root, at);
}

Node resolve_text(const std::string& text, const Node& root, const ResolveContext& context,
                  const std::string& key) {
  KeyPath at{key};
  if (key.find('.') != std::string::npos) at = split_key(key);
  const Node node(text);
  return Resolver(root, context).value(node, at);
}

std::optional<Node> select(const Node& root, const std::string& key,
                           const ResolveContext& context) {
  Resolver resolver(root, context);
  try {
    const std::optional<Value> found = resolver.find(split_key(key), {}, false);
    if (!found || found->shown().is_missing()) return std::nullopt;
    return resolver.finish(*found);
  } catch (const ResolverError& error) {
    if (error.type == "ConfigTypeError") return std::nullopt;
    throw ComposeError(error.type, fmt::format("'{}': {}", key, error.what),
                       "an item of a list is named by its number", key);
  }
}

Node at_key(const Node& root, const std::string& key, const ResolveContext& context) {
  Resolver resolver(root, context);
  KeyPath at;
  const Node* node = &root;
  for (const std::string& part : split_key(key)) {
    const Node* next = node->is_scalar() ? nullptr : child_of(*node, part);
    at.push_back(part);
    if (next == nullptr && has_interpolation(*node)) {
      if (std::optional<Node> found = select(root, key, context)) return *std::move(found);
    }
    if (next == nullptr) {
      std::vector<std::string> names;
      for (const auto& [name, item] : node->entries()) names.push_back(python_str(name));
      const std::string near = base::nearest(part, names);
      throw ComposeError("ConfigKeyError", fmt::format("Key '{}' is not in struct", dotted(at)),
                         near.empty() ? "" : fmt::format("did you mean '{}'?", near), dotted(at),
                         node->mark());
    }
    node = next;
  }
  if (node->is_missing()) {
    throw ComposeError("MissingMandatoryValue", fmt::format("Missing mandatory value: {}", key),
                       fmt::format("give it a value: {}=<value>", key), key, node->mark());
  }
  return resolver.value(*node, at);
}

}  // namespace polyphony::config
