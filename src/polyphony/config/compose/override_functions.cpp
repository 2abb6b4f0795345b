#include <polyphony/config/compose/override_functions.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>

#include <fmt/format.h>

#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

using Arguments = std::vector<OverrideArgument>;
using Element = OverrideElement;
using Kind = Sweep::Kind;

bool is_number(const Node& node) {
  return node.kind() == Node::Kind::kInt || node.kind() == Node::Kind::kFloat;
}
/// Python's bool is an int.
bool counts_as_number(const Node& node) {
  return is_number(node) || node.kind() == Node::Kind::kBool;
}
bool is_sweep(const Element& element, Kind kind) {
  return element.sweep && element.sweep->kind == kind;
}
/// A number, text, boolean, list or mapping: neither null nor a sweep.
bool is_value(const Element& element) { return !element.sweep && !element.value.is_null(); }

/// The arguments of a call, bound to a function's parameters as Python binds them.
class Bound {
 public:
  /// @param positional  the names that positional arguments fill, in order
  /// @param named       the names that only a named argument fills
  Bound(std::string function, Arguments arguments, std::vector<std::string> positional,
        const std::vector<std::string>& named = {})
      : function_(std::move(function)) {
    std::size_t next = 0;
    for (OverrideArgument& argument : arguments) {
      std::string name = argument.name;
      if (name.empty()) {
        if (next == positional.size()) fail("too many positional arguments");
        name = positional[next++];
        if (values_.contains(name)) fail("multiple values for argument '" + name + "'");
      } else if (!contains(positional, name) && !contains(named, name)) {
        fail("got an unexpected keyword argument '" + name + "'");
      } else if (std::find(positional.begin(), positional.begin() + next, name) !=
                 positional.begin() + next) {
        fail("multiple values for argument '" + name + "'");
      }
      values_.insert_or_assign(name, std::move(argument.element));
    }
  }

  const Element* find(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? nullptr : &found->second;
  }
  const Element& required(const std::string& name) const {
    if (const Element* element = find(name)) return *element;
    fail("missing a required argument: '" + name + "'");
  }
  /// A number; booleans count as 0 and 1.
  Node number(const Element& element, const std::string& name) const {
    if (element.sweep || !counts_as_number(element.value)) fail(name + " must be a number");
    if (element.value.kind() == Node::Kind::kBool) return Node(element.value.as_bool() ? 1 : 0);
    return element.value;
  }
  [[noreturn]] void fail(const std::string& why) const {
    throw FunctionError(function_ + "(): " + why);
  }

 private:
  static bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  }
  std::string function_;
  std::map<std::string, Element> values_;
};

/// Splits "*args, name=..." apart. @throws FunctionError for a name that is not in `known`
std::vector<Element> take_positional(const std::string& function, Arguments arguments,
                                     const std::vector<std::string>& known,
                                     std::map<std::string, Element>& named) {
  std::vector<Element> positional;
  for (OverrideArgument& argument : arguments) {
    if (argument.name.empty()) {
      positional.push_back(std::move(argument.element));
    } else if (std::find(known.begin(), known.end(), argument.name) == known.end()) {
      throw FunctionError(function + "(): got an unexpected keyword argument '" + argument.name +
                          "'");
    } else {
      named.insert_or_assign(argument.name, std::move(argument.element));
    }
  }
  return positional;
}

Element simple_choice(std::vector<Element> elements, const std::string& function) {
  Sweep sweep;
  sweep.simple = true;
  for (Element& element : elements) {
    if (element.sweep) throw FunctionError(function + "() cannot hold a sweep among others");
    sweep.choices.push_back(std::move(element.value));
  }
  return {Node(), std::move(sweep)};
}

Element choice(Arguments arguments) {
  std::map<std::string, Element> named;
  std::vector<Element> elements = take_positional("choice", std::move(arguments), {}, named);
  if (elements.empty()) throw FunctionError("choice() wants at least one value");
  for (const Element& element : elements) {
    if (!is_value(element) && !is_sweep(element, Kind::kChoice)) {
      throw FunctionError("choice() takes text, numbers, booleans, lists and mappings");
    }
  }
  if (elements.size() == 1 && elements[0].sweep) {
    if (!elements[0].sweep->simple) throw FunctionError("choice() in choice() is not supported");
    elements[0].sweep->simple = false;
    return std::move(elements[0]);
  }
  Sweep sweep;
  for (Element& element : elements) {
    sweep.nested |= element.sweep.has_value();
    sweep.choices.push_back(std::move(element.value));
  }
  return {Node(), std::move(sweep)};
}

Element range(Arguments arguments) {
  const Bound bound("range", std::move(arguments), {"start", "stop", "step"});
  Sweep sweep;
  sweep.kind = Kind::kRange;
  sweep.start = bound.number(bound.required("start"), "start");
  sweep.step = Node(1);
  if (const Element* step = bound.find("step")) sweep.step = bound.number(*step, "step");
  const Element* stop = bound.find("stop");
  if (stop != nullptr && (stop->sweep || !stop->value.is_null())) {
    sweep.stop = bound.number(*stop, "stop");
  } else {
    sweep.stop = std::exchange(sweep.start, Node(0));
  }
  return {Node(), std::move(sweep)};
}

Element interval(Arguments arguments) {
  const Bound bound("interval", std::move(arguments), {"start", "end"});
  Sweep sweep;
  sweep.kind = Kind::kInterval;
  sweep.start = Node(bound.number(bound.required("start"), "start").as_float());
  sweep.stop = Node(bound.number(bound.required("end"), "end").as_float());
  return {Node(), std::move(sweep)};
}

std::vector<std::string> patterns(const Bound& bound, const Element* element) {
  std::vector<std::string> result;
  if (element == nullptr || (!element->sweep && element->value.is_null())) return result;
  if (element->value.is_list()) {
    for (const Node& item : element->value.items()) result.push_back(python_str(item));
  } else if (element->value.is_string()) {
    result.push_back(element->value.as_string());
  } else {
    bound.fail("a pattern is a string, or a list of them");
  }
  return result;
}

Element glob(Arguments arguments) {
  const Bound bound("glob", std::move(arguments), {"include", "exclude"});
  Sweep sweep;
  sweep.kind = Kind::kGlob;
  const Element& include = bound.required("include");
  if (!is_value(include)) bound.fail("a pattern is a string, or a list of them");
  sweep.include = patterns(bound, &include);
  sweep.exclude = patterns(bound, bound.find("exclude"));
  return {Node(), std::move(sweep)};
}

/// int() of a float of any size. @throws FunctionError for nan and infinities
Node truncated(double value) {
  if (!std::isfinite(value)) throw FunctionError("int() cannot read " + float_repr(value));
  std::string digits = fmt::format("{:.0f}", std::trunc(value));
  const bool negative = digits.starts_with('-');
  if (negative) digits.erase(0, 1);
  return make_integer(digits, 10, negative);
}

double to_float(const Node& value) {
  if (value.is_big_int()) return std::strtod(value.as_string().c_str(), nullptr);
  return value.as_float();
}

Node cast_scalar(const std::string& name, const Node& value) {
  const bool is_bool = value.kind() == Node::Kind::kBool;
  if (name == "str" && !value.is_null()) {
    return Node(is_bool ? (value.as_bool() ? "true" : "false") : python_str(value));
  }
  if (name == "int") {
    if (value.kind() == Node::Kind::kInt) return value;
    if (is_bool) return Node(value.as_bool() ? 1 : 0);
    if (value.kind() == Node::Kind::kFloat) return truncated(value.as_float());
    if (value.is_string()) {
      if (auto parsed = python_int(value.as_string())) return *parsed;
    }
  } else if (name == "float") {
    if (is_number(value)) return Node(to_float(value));
    if (is_bool) return Node(value.as_bool() ? 1.0 : 0.0);
    if (value.is_string()) {
      if (auto parsed = python_float(value.as_string())) return Node(*parsed);
    }
  } else if (name == "bool") {
    if (is_bool) return value;
    if (is_number(value)) return Node(to_float(value) != 0);
    const std::string low = value.is_string() ? lower(value.as_string()) : "";
    if (low == "true" || low == "false") return Node(low == "true");
  }
  throw FunctionError(fmt::format("{}() cannot read {}", name, python_repr(value)));
}

Node cast_value(const std::string& name, const Node& value) {
  if (value.is_scalar()) return cast_scalar(name, value);
  Node out = value;
  for (Node& item : out.items()) item = cast_value(name, item);
  for (auto& [key, item] : out.entries()) item = cast_value(name, item);
  return out;
}

Element cast(const std::string& name, Arguments arguments) {
  std::map<std::string, Element> named;
  std::vector<Element> elements = take_positional(name, std::move(arguments), {"value"}, named);
  const auto given = named.find("value");
  const bool by_name =
      given != named.end() && (given->second.sweep || !given->second.value.is_null());
  if (by_name && !elements.empty()) {
    throw FunctionError(name + "() takes a positional or a named value, not both");
  }
  if (!by_name && elements.empty()) throw FunctionError(name + "() wants a value");
  Element element = by_name                ? std::move(given->second)
                    : elements.size() == 1 ? std::move(elements[0])
                                           : simple_choice(std::move(elements), name);
  if (!element.sweep) return {cast_value(name, element.value), {}};
  Sweep& old = *element.sweep;
  Sweep sweep;  // a cast sweep keeps neither order nor tags
  sweep.kind = old.kind;
  sweep.simple = old.simple;
  if (old.kind == Kind::kChoice) {
    if (old.nested) throw FunctionError(name + "() cannot cast a sweep in a choice");
    for (const Node& item : old.choices) sweep.choices.push_back(cast_value(name, item));
    return {Node(), std::move(sweep)};
  }
  if (old.kind == Kind::kGlob || (name != "int" && name != "float")) {
    throw FunctionError(name + "() cannot cast this sweep");
  }
  sweep.start = cast_value(name, old.start);
  sweep.stop = cast_value(name, old.stop);
  if (old.kind == Kind::kRange) sweep.step = cast_value(name, old.step);
  if (old.kind == Kind::kInterval) sweep.tags = old.tags;
  return {Node(), std::move(sweep)};
}

/// One value as a JSON text. Later than Hydra 1.3.2, which has no such function.
Element json_str(Arguments arguments) {
  const Bound bound("json_str", std::move(arguments), {"value"});
  const Element& element = bound.required("value");
  if (element.sweep) bound.fail("a sweep has no JSON");
  Node text(to_json(element.value));
  text.set_quote('\'');
  return {std::move(text), {}};
}

/// Python's a < b. @throws FunctionError where it has no order
bool less(const Node& a, const Node& b) {
  if (counts_as_number(a) && counts_as_number(b)) {
    const auto value = [](const Node& node) {
      return node.kind() == Node::Kind::kBool ? (node.as_bool() ? 1.0 : 0.0) : to_float(node);
    };
    const bool exact = a.kind() == Node::Kind::kInt && b.kind() == Node::Kind::kInt &&
                       !a.is_big_int() && !b.is_big_int();
    return exact ? a.as_int() < b.as_int() : value(a) < value(b);
  }
  const bool quoted = a.quote() != 0 || b.quote() != 0;  // inside a list, Hydra gives them no order
  if (a.is_string() && b.is_string() && !quoted) return a.as_string() < b.as_string();
  if (a.is_list() && b.is_list()) {
    for (std::size_t i = 0; i < a.items().size() && i < b.items().size(); ++i) {
      if (!python_equal(a.items()[i], b.items()[i])) return less(a.items()[i], b.items()[i]);
    }
    return a.items().size() < b.items().size();
  }
  throw FunctionError(fmt::format("sort() wants values of one kind, not {} and {}", python_repr(a),
                                  python_repr(b)));
}

void sort_values(std::vector<Node>& values, bool reverse) {
  std::stable_sort(values.begin(), values.end(), [reverse](const Node& a, const Node& b) {
    return reverse ? less(b, a) : less(a, b);
  });
}

/// start, start+step, … turned to run the other way, over the same bounds as Hydra moves them.
void turn_range(Sweep& sweep, bool reverse) {
  const bool rising = less(sweep.start, sweep.stop);
  const bool falling = less(sweep.stop, sweep.start);
  if (reverse ? !rising : !falling) return;
  const auto add = [](const Node& a, const Node& b, int sign) {
    if (a.kind() == Node::Kind::kInt && b.kind() == Node::Kind::kInt) {
      return Node(a.as_int() + sign * b.as_int());
    }
    return Node(a.as_float() + sign * b.as_float());
  };
  const Node zero(0);
  const Node size = less(sweep.step, zero) ? add(zero, sweep.step, -1) : sweep.step;
  const int sign = reverse ? -1 : 1;
  const Node start = add(sweep.stop, size, sign);
  sweep.stop = add(sweep.start, size, sign);
  sweep.start = start;
  sweep.step = add(zero, sweep.step, -1);
}

/// What sort and shuffle take by name: sweep=SWEEP or list=[...].
std::optional<Element> by_name(const std::string& function,
                               const std::map<std::string, Element>& named) {
  const auto given = [&](const char* name) -> const Element* {
    const auto found = named.find(name);
    if (found == named.end()) return nullptr;
    const Element& element = found->second;
    return element.sweep || !element.value.is_null() ? &element : nullptr;
  };
  if (const Element* list = given("list")) {
    if (!list->value.is_list()) throw FunctionError(function + "(): 'list' must be a list");
    return *list;
  }
  if (const Element* sweep = given("sweep")) {
    if (!is_sweep(*sweep, Kind::kChoice) && !is_sweep(*sweep, Kind::kRange)) {
      throw FunctionError(function + "(): 'sweep' must be a choice or a range");
    }
    return *sweep;
  }
  return std::nullopt;
}

void check_sortable(const std::vector<Element>& elements, const std::string& function) {
  for (const Element& element : elements) {
    if (is_value(element) || is_sweep(element, Kind::kChoice) || is_sweep(element, Kind::kRange)) {
      continue;
    }
    throw FunctionError(function + "() takes values, a choice or a range");
  }
}

Element sort(Arguments arguments) {
  std::map<std::string, Element> named;
  std::vector<Element> elements =
      take_positional("sort", std::move(arguments), {"sweep", "list", "reverse"}, named);
  bool reverse = false;
  if (const auto flag = named.find("reverse"); flag != named.end()) {
    if (flag->second.sweep || flag->second.value.kind() != Node::Kind::kBool) {
      throw FunctionError("sort(): 'reverse' must be true or false");
    }
    reverse = flag->second.value.as_bool();
  }
  check_sortable(elements, "sort");
  std::optional<Element> only = by_name("sort", named);
  if (!only && elements.size() == 1) only = std::move(elements[0]);
  if (!only) {
    if (elements.empty()) throw FunctionError("sort() wants values");
    for (const Element& element : elements) {
      if (!element.sweep && element.value.is_scalar()) continue;
      throw FunctionError("sort() of several values takes numbers, text and booleans");
    }
    only = simple_choice(std::move(elements), "sort");
  }
  if (!only->sweep) {
    if (only->value.is_list()) sort_values(only->value.items(), reverse);
  } else if (only->sweep->kind == Kind::kChoice) {
    if (only->sweep->nested) throw FunctionError("sort() cannot order a sweep in a choice");
    sort_values(only->sweep->choices, reverse);
  } else {
    turn_range(*only->sweep, reverse);
  }
  return *std::move(only);
}

Element shuffle(Arguments arguments) {
  std::map<std::string, Element> named;
  std::vector<Element> elements =
      take_positional("shuffle", std::move(arguments), {"sweep", "list"}, named);
  check_sortable(elements, "shuffle");
  std::optional<Element> only = by_name("shuffle", named);
  if (!only && elements.size() == 1) only = std::move(elements[0]);
  if (!only) {
    Element all = simple_choice(std::move(elements), "shuffle");
    all.sweep->shuffle = true;
    return all;
  }
  if (only->sweep) {
    only->sweep->shuffle = true;
    return *std::move(only);
  }
  if (!only->value.is_list()) return {Node::list({std::move(only->value)}), {}};
  std::mt19937_64 order{std::random_device{}()};
  std::shuffle(only->value.items().begin(), only->value.items().end(), order);
  return *std::move(only);
}

Element tag(Arguments arguments) {
  std::map<std::string, Element> named;
  std::vector<Element> elements = take_positional("tag", std::move(arguments), {"sweep"}, named);
  if (elements.empty()) throw FunctionError("tag() wants a sweep");
  if (const auto sweep = named.find("sweep"); sweep != named.end() && sweep->second.sweep) {
    elements.push_back(std::move(sweep->second));
  }
  Element last = std::move(elements.back());
  elements.pop_back();
  if (!last.sweep || last.sweep->kind == Kind::kGlob) {
    throw FunctionError("tag() wants a choice, range or interval last");
  }
  std::set<std::string> tags;
  for (const Element& element : elements) {
    if (element.sweep || !element.value.is_string()) throw FunctionError("tags are strings");
    tags.insert(element.value.as_string());
  }
  last.sweep->tags.assign(tags.begin(), tags.end());
  return last;
}

}  // namespace

OverrideElement call_override_function(const std::string& name, Arguments arguments) {
  // A function sees the text of a quoted argument, not its quotes.
  for (OverrideArgument& argument : arguments) argument.element.value.set_quote(0);
  if (name == "choice") return choice(std::move(arguments));
  if (name == "range") return range(std::move(arguments));
  if (name == "interval") return interval(std::move(arguments));
  if (name == "glob") return glob(std::move(arguments));
  if (name == "sort") return sort(std::move(arguments));
  if (name == "shuffle") return shuffle(std::move(arguments));
  if (name == "tag") return tag(std::move(arguments));
  if (name == "json_str") return json_str(std::move(arguments));
  for (const char* type : {"int", "float", "bool", "str"}) {
    if (name == type) return cast(name, std::move(arguments));
  }
  throw FunctionError(
      fmt::format("no function '{}' (known: bool, choice, float, glob, int, interval, "
                  "json_str, range, shuffle, sort, str, tag)",
                  name));
}

}  // namespace polyphony::config
