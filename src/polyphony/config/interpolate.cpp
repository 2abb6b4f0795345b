#include <polyphony/config/interpolate.h>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/nearest.h>
#include <polyphony/config/errors.h>
#include <polyphony/config/override.h>
#include <polyphony/config/resolvers.h>
#include <polyphony/config/scalars.h>

namespace polyphony::config {
namespace {

constexpr int kMaxDepth = 200;
using Path = std::vector<std::string>;

std::string dotted(const Path& path) { return fmt::format("{}", fmt::join(path, ".")); }

bool has_interpolation(const Node& node) {
  return node.is_string() && node.as_string().find("${") != std::string::npos;
}

/// Evaluates texts and nodes against one root.
class Resolver {
 public:
  Resolver(const Node& root, const ResolveContext& context) : root_(root), context_(context) {}

  /// @param at  where the node stands, for relative keys and messages
  Node value(const Node& node, Path& at) {
    if (node.is_list() || node.is_map()) return container(node, at);
    if (!has_interpolation(node)) return node;
    if (++depth_ > kMaxDepth)
      fail("InterpolationResolutionError", "the interpolations form a circle", node, at);
    Node out = Text{*this, node, at, node.as_string()}.whole();
    --depth_;
    out.set_mark(node.mark());
    return out;
  }

  [[noreturn]] void fail(const char* type, const std::string& fact, const Node& node,
                         const Path& at, const std::string& remedy = "") const {
    const std::string key = dotted(at);
    throw ComposeError(type, fmt::format("{}: {} (in '{}')", key, fact, python_str(node)), remedy,
                       key, node.mark());
  }

 private:
  Node container(const Node& node, Path& at) {
    Node out = node;
    std::size_t index = 0;
    for (Node& item : out.items()) {
      at.push_back(std::to_string(index++));
      item = value(item, at);
      at.pop_back();
    }
    for (auto& [key, item] : out.entries()) {
      at.push_back(python_str(key));
      item = value(item, at);
      at.pop_back();
    }
    return out;
  }

  static const Node* child(const Node& node, const std::string& part) {
    if (node.is_map()) {
      for (const auto& [key, item] : node.entries()) {
        if (python_str(key) == part) return &item;
      }
      return nullptr;
    }
    std::size_t index = 0;
    const char* end = part.data() + part.size();
    const auto parsed = std::from_chars(part.data(), end, index);
    const bool good = parsed.ec == std::errc{} && parsed.ptr == end && index < node.items().size();
    return good ? &node.items()[index] : nullptr;
  }

  /// The resolved value at an absolute path; nothing where absent.
  std::optional<Node> select(const Path& path) {
    const Node* node = &root_;
    Node held;
    Path at;
    for (const std::string& part : path) {
      if (has_interpolation(*node)) {
        held = value(*node, at);
        node = &held;
      }
      node = child(*node, part);
      if (node == nullptr) return std::nullopt;
      at.push_back(part);
    }
    return value(*node, at);
  }

  std::string nearest_key(const Path& path) const {
    const Node* node = &root_;
    for (const std::string& part : path) {
      const Node* next = child(*node, part);
      if (next != nullptr) {
        node = next;
        continue;
      }
      std::vector<std::string> keys;
      for (const auto& [key, item] : node->entries()) keys.push_back(python_str(key));
      return base::nearest(part, keys);
    }
    return "";
  }

  /// One string under evaluation.
  struct Text {
    Resolver& resolver;
    const Node& node;
    Path& at;
    const std::string& text;
    std::size_t pos = 0;

    [[noreturn]] void bad(const std::string& why) const {
      resolver.fail(
          "GrammarParseError", fmt::format("column {}: {}", pos + 1, why), node, at,
          "an interpolation is ${key.path} or ${resolver:argument,...}; \\${ writes it plainly");
    }
    char peek() const { return pos < text.size() ? text[pos] : '\0'; }
    bool starts() const { return text.compare(pos, 2, "${") == 0; }
    bool take(char c) {
      if (peek() != c || pos >= text.size()) return false;
      ++pos;
      return true;
    }
    void blanks() {
      while (peek() == ' ' || peek() == '\t') ++pos;
    }

    /// Plain text with interpolations; alone, an interpolation keeps its type.
    Node whole() {
      std::string out;
      Node single;
      int pieces = 0;
      bool plain = false;
      while (pos < text.size()) {
        const std::size_t slashes = std::min(text.find_first_not_of('\\', pos), text.size()) - pos;
        if (text.compare(pos + slashes, 2, "${") == 0) {
          out.append(slashes / 2, '\\');
          plain |= slashes > 0;
          pos += slashes;
          if (slashes % 2 == 1) {
            out += "${";
            pos += 2;
            continue;
          }
          single = interpolation();
          out += python_str(single);
          ++pieces;
          continue;
        }
        const std::size_t step = std::max<std::size_t>(slashes, 1);
        out += text.substr(pos, step);
        pos += step;
        plain = true;
      }
      return pieces == 1 && !plain ? single : Node(out);
    }

    Node interpolation() {
      pos += 2;
      blanks();
      std::size_t ups = 0;
      while (take('.')) ++ups;
      std::string head;
      Path parts;
      bool resolver_possible = ups == 0;
      head = key_text();
      parts.push_back(head);
      while (true) {
        if (resolver_possible && peek() == ':') {
          ++pos;
          return call(dotted(parts));
        }
        if (take('.')) {
          parts.push_back(key_text());
        } else if (take('[')) {
          resolver_possible = false;
          if (parts.size() == 1 && parts[0].empty()) parts.clear();
          parts.push_back(key_text());
          if (!take(']')) bad("']' is missing");
        } else {
          break;
        }
      }
      blanks();
      if (!take('}')) bad(pos < text.size() ? "not understood inside ${...}" : "'}' is missing");
      return lookup(parts, ups);
    }

    std::string key_text() {
      std::string key;
      while (pos < text.size()) {
        if (starts()) {
          const Node part = interpolation();
          if (!part.is_string()) {
            resolver.fail(
                "InterpolationResolutionError",
                fmt::format("a key made of ${{...}} must be a string, not {}", python_repr(part)),
                node, at);
          }
          key += part.as_string();
          continue;
        }
        const char c = text[pos];
        if (std::string_view("{}[].:, \t'\"\\()=").find(c) != std::string_view::npos) break;
        key += c;
        ++pos;
      }
      return key;
    }

    Node lookup(const Path& parts, std::size_t ups) {
      Path path;
      if (ups > 0) {
        if (ups > at.size())
          resolver.fail("InterpolationKeyError", "more dots than levels", node, at);
        path.assign(at.begin(), at.end() - static_cast<std::ptrdiff_t>(ups));
      }
      for (const std::string& part : parts) {
        if (part.empty() && ups == 0) bad("a key is missing");
        if (!part.empty()) path.push_back(part);
      }
      std::optional<Node> found = resolver.select(path);
      if (!found) {
        const std::string near = resolver.nearest_key(path);
        resolver.fail("InterpolationKeyError",
                      fmt::format("Interpolation key '{}' not found", dotted(path)), node, at,
                      near.empty() ? "" : fmt::format("did you mean '{}'?", near));
      }
      if (found->is_missing()) {
        resolver.fail("InterpolationToMissingValueError",
                      fmt::format("Missing mandatory value: {}", dotted(path)), node, at,
                      fmt::format("give it a value: {}=<value>", dotted(path)));
      }
      return *found;
    }

    Node quoted() {
      const char quote = text[pos++];
      std::string body;
      for (; pos < text.size(); ++pos) {
        if (text[pos] == '\\' && pos + 1 < text.size() &&
            (text[pos + 1] == quote || text[pos + 1] == '\\')) {
          if (text[pos + 1] == quote) {
            body += text[++pos];
            continue;
          }
        }
        if (text[pos] == quote) {
          ++pos;
          Node inner(body);
          inner.set_mark(node.mark());
          Text nested{resolver, inner, at, inner.as_string()};
          const Node out = nested.whole();
          return Node(python_str(out));
        }
        body += text[pos];
      }
      bad("the quote is not closed");
    }

    Node element() {
      blanks();
      if (peek() == '\'' || peek() == '"') {
        Node out = quoted();
        blanks();
        return out;
      }
      if (peek() == '[') return list();
      if (peek() == '{') return dict();
      return word(true);
    }
    Node list() {
      take('[');
      Node out = Node::list();
      blanks();
      if (!take(']')) {
        do out.items().push_back(element());
        while (take(','));
        if (!take(']')) bad("']' is missing");
      }
      blanks();
      return out;
    }
    Node dict() {
      take('{');
      Node out = Node::map();
      blanks();
      if (!take('}')) {
        do {
          blanks();
          Node key = word(false);
          if (!take(':')) bad("':' is missing");
          out.entries().emplace_back(std::move(key), element());
        } while (take(','));
        if (!take('}')) bad("'}' is missing");
      }
      blanks();
      return out;
    }
    Node word(bool colons) {
      std::string out;
      Node single;
      std::size_t keep = 0;
      int pieces = 0;
      bool plain = false, escaped = false;
      while (pos < text.size()) {
        const char c = text[pos];
        if (starts()) {
          single = interpolation();
          out += python_str(single);
          keep = out.size();
          ++pieces;
          continue;
        }
        if (c == '\\' && pos + 1 < text.size() &&
            std::string_view("\\()[]{}:=, \t").find(text[pos + 1]) != std::string_view::npos) {
          out += text[pos + 1];
          pos += 2;
          keep = out.size();
          escaped = plain = true;
          continue;
        }
        if (std::string_view("{}[](),='\"!#&^~;<>`").find(c) != std::string_view::npos ||
            (c == ':' && !colons) || static_cast<unsigned char>(c) >= 0x80) {
          break;
        }
        out += c;
        ++pos;
        if (c != ' ' && c != '\t') {
          keep = out.size();
          plain = true;
        }
      }
      if (pieces == 1 && !plain) return single;
      out.resize(keep);
      return escaped || pieces > 0 || out.empty() ? Node(out) : type_override_word(out);
    }

    Node call(const std::string& name) {
      std::vector<Node> arguments;
      blanks();
      if (!take('}')) {
        do arguments.push_back(element());
        while (take(','));
        if (!take('}')) bad(pos < text.size() ? "not understood in an argument" : "'}' is missing");
      }
      try {
        return run(name, arguments);
      } catch (const ResolverError& error) {
        resolver.fail(
            "InterpolationResolutionError",
            fmt::format("{} raised while resolving interpolation: {}", error.type, error.what),
            node, at);
      }
    }

    std::optional<Node> select_argument(const Node& key) {
      std::string name = python_str(key);
      Path path;
      std::size_t ups = name.find_first_not_of('.');
      if (ups == std::string::npos) ups = name.size();
      if (ups > at.size()) return std::nullopt;
      if (ups > 0) path.assign(at.begin(), at.end() - static_cast<std::ptrdiff_t>(ups));
      std::replace(name.begin(), name.end(), '[', '.');
      std::erase(name, ']');
      for (std::size_t from = ups; from < name.size();) {
        const std::size_t dot = std::min(name.find('.', from), name.size());
        if (dot > from) path.push_back(name.substr(from, dot - from));
        from = dot + 1;
      }
      return resolver.select(path);
    }

    Node mapping_argument(const Node& argument, const std::string& name) {
      if (argument.is_map()) return argument;
      if (!argument.is_string())
        throw ResolverError{"TypeError", name + " takes a mapping or its key"};
      std::optional<Node> found = select_argument(argument);
      if (!found)
        throw ResolverError{"ConfigKeyError",
                            fmt::format("Key not found: '{}'", argument.as_string())};
      if (!found->is_map()) throw ResolverError{"TypeError", name + " takes a mapping or its key"};
      return *found;
    }

    Node run(const std::string& name, const std::vector<Node>& arguments) {
      const auto count = [&](std::size_t least, std::size_t most) {
        if (arguments.size() >= least && arguments.size() <= most) return;
        throw ResolverError{"TypeError",
                            fmt::format("{} does not take {} arguments", name, arguments.size())};
      };
      if (name == "oc.env") return resolve_env(arguments, resolver.context_);
      if (name == "now") return resolve_now(arguments, resolver.context_);
      if (name == "oc.select") {
        count(1, 2);
        std::optional<Node> found = select_argument(arguments[0]);
        if (found && !found->is_missing()) return *found;
        return arguments.size() == 2 ? arguments[1] : Node();
      }
      if (name == "oc.decode") {
        count(1, 1);
        return decode(arguments[0]);
      }
      if (name == "oc.create") {
        count(1, 1);
        return arguments[0];
      }
      if (name == "oc.dict.keys" || name == "oc.dict.values") {
        count(1, 1);
        const Node map = mapping_argument(arguments[0], name);
        if (name == "oc.dict.keys") return resolve_dict_keys(map);
        Node values = Node::list();
        for (const auto& [key, item] : map.entries()) values.items().push_back(item);
        return values;
      }
      if (name == "oc.deprecated") {
        count(1, 2);
        std::optional<Node> found = select_argument(arguments[0]);
        if (!found) {
          throw ResolverError{"ConfigKeyError",
                              fmt::format("In oc.deprecated resolver at '{}': Key not found: '{}'",
                                          dotted(at), python_str(arguments[0]))};
        }
        if (resolver.context_.warn) {
          resolver.context_.warn(
              fmt::format("'{}' is deprecated. Change your code and config to use '{}'", dotted(at),
                          python_str(arguments[0])));
        }
        return *found;
      }
      if (name == "hydra") {
        count(1, 2);
        Node all = resolver.root_;
        all.set("hydra", resolver.context_.hydra);
        Resolver inside(all, resolver.context_);
        inside.depth_ = resolver.depth_ + 1;
        Path path{"hydra"};
        std::string rest = python_str(arguments[0]);
        for (std::size_t from = 0; from < rest.size();) {
          const std::size_t dot = std::min(rest.find('.', from), rest.size());
          path.push_back(rest.substr(from, dot - from));
          from = dot + 1;
        }
        const std::optional<Node> found = inside.select(path);
        return found ? *found : arguments.size() == 2 ? arguments[1] : Node();
      }
      static const std::vector<std::string> kKnown{"oc.env",    "oc.select",     "oc.decode",
                                                   "oc.create", "oc.dict.keys",  "oc.dict.values",
                                                   "now",       "oc.deprecated", "hydra"};
      const std::string near = base::nearest(name, kKnown);
      resolver.fail("UnsupportedInterpolationType", fmt::format("no resolver is named '{}'", name),
                    node, at,
                    fmt::format("{}known: {}", near.empty() ? "" : "did you mean '" + near + "'? ",
                                fmt::join(kKnown, ", ")));
    }

    Node decode(const Node& argument) {
      if (argument.is_null()) return argument;
      if (!argument.is_string()) {
        throw ResolverError{
            "TypeError", fmt::format("`oc.decode` can only take strings or None as input, but `{}` "
                                     "is of type {}",
                                     python_str(argument), Node::kind_name(argument.kind()))};
      }
      Text inner{resolver, node, at, argument.as_string()};
      try {
        const std::string& body = argument.as_string();
        if (body.empty()) inner.bad("nothing to decode");
        if (body.front() == ' ' || body.back() == ' ') return argument;
        Node out = inner.element();
        if (inner.pos != body.size()) inner.bad("not understood");
        return out;
      } catch (const ComposeError& error) {
        if (error.original_class() != "GrammarParseError") throw;
        throw ResolverError{"GrammarParseError", error.what()};
      }
    }
  };

  const Node& root_;
  const ResolveContext& context_;
  int depth_ = 0;
};

}  // namespace

Node resolve(const Node& root, const ResolveContext& context) {
  Path at;
  return Resolver(root, context).value(root, at);
}

Node resolve_text(const std::string& text, const Node& root, const ResolveContext& context,
                  const std::string& key) {
  Path at{key};
  return Resolver(root, context).value(Node(text), at);
}

}  // namespace polyphony::config
