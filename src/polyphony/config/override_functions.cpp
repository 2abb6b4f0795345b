#include <polyphony/config/override_functions.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <polyphony/config/dump.h>
#include <polyphony/config/scalars.h>

namespace polyphony::config {
namespace {

using Arguments = std::vector<OverrideArgument>;

bool is_number(const Node& node) {
  return node.kind() == Node::Kind::kInt || node.kind() == Node::Kind::kFloat;
}

/// Takes one argument by name or else by position; nothing where it was not given.
std::optional<OverrideElement> take(Arguments& arguments, const std::string& name) {
  for (auto it = arguments.begin(); it != arguments.end(); ++it) {
    if (!it->name.empty() && it->name != name) continue;
    OverrideElement element = std::move(it->element);
    arguments.erase(it);
    return element;
  }
  return std::nullopt;
}

std::optional<OverrideElement> take_named(Arguments& arguments, const std::string& name) {
  const auto it = std::find_if(arguments.begin(), arguments.end(),
                               [&](const OverrideArgument& a) { return a.name == name; });
  if (it == arguments.end()) return std::nullopt;
  OverrideElement element = std::move(it->element);
  arguments.erase(it);
  return element;
}

void expect_none(const Arguments& arguments, const std::string& name) {
  if (arguments.empty()) return;
  throw FunctionError(fmt::format(
      "{}() takes no argument '{}'", name,
      arguments[0].name.empty() ? python_str(arguments[0].element.value) : arguments[0].name));
}

Node number(std::optional<OverrideElement> element, const std::string& what) {
  if (!element || element->sweep || !is_number(element->value)) {
    throw FunctionError(what + " must be a number");
  }
  return std::move(element->value);
}

bool flag(std::optional<OverrideElement> element, bool otherwise) {
  if (!element) return otherwise;
  if (element->sweep || element->value.kind() != Node::Kind::kBool) {
    throw FunctionError("the option must be true or false");
  }
  return element->value.as_bool();
}

OverrideElement choice(Arguments arguments) {
  Sweep sweep;
  for (OverrideArgument& item : arguments) {
    if (!item.name.empty()) throw FunctionError("choice() takes values, not " + item.name + "=");
    if (item.element.sweep) throw FunctionError("choice() cannot hold a sweep");
    sweep.choices.push_back(std::move(item.element.value));
  }
  if (sweep.choices.empty()) throw FunctionError("choice() wants at least one value");
  return {Node(), std::move(sweep)};
}

OverrideElement range(Arguments arguments) {
  Sweep sweep;
  sweep.kind = Sweep::Kind::kRange;
  sweep.start = number(take(arguments, "start"), "range() start");
  auto stop = take(arguments, "stop");
  auto step = take(arguments, "step");
  if (stop) {
    sweep.stop = number(std::move(stop), "range() stop");
  } else {
    sweep.stop = std::exchange(sweep.start, Node(0));
  }
  sweep.step = step ? number(std::move(step), "range() step") : Node(1);
  expect_none(arguments, "range");
  return {Node(), std::move(sweep)};
}

OverrideElement interval(Arguments arguments) {
  Sweep sweep;
  sweep.kind = Sweep::Kind::kInterval;
  sweep.start = number(take(arguments, "start"), "interval() start");
  sweep.stop = number(take(arguments, "end"), "interval() end");
  expect_none(arguments, "interval");
  return {Node(), std::move(sweep)};
}

std::vector<std::string> patterns(const std::optional<OverrideElement>& element) {
  std::vector<std::string> result;
  if (!element) return result;
  if (element->value.is_list()) {
    for (const Node& item : element->value.items()) {
      if (!item.is_string()) throw FunctionError("glob() takes strings");
      result.push_back(item.as_string());
    }
  } else if (element->value.is_string()) {
    result.push_back(element->value.as_string());
  } else {
    throw FunctionError("glob() takes strings");
  }
  return result;
}

OverrideElement glob(Arguments arguments) {
  Sweep sweep;
  sweep.kind = Sweep::Kind::kGlob;
  sweep.include = patterns(take(arguments, "include"));
  sweep.exclude = patterns(take(arguments, "exclude"));
  expect_none(arguments, "glob");
  if (sweep.include.empty()) throw FunctionError("glob() wants a pattern");
  return {Node(), std::move(sweep)};
}

Node cast_scalar(const std::string& name, const Node& value) {
  if (name == "str") {
    Node text(value.kind() == Node::Kind::kBool ? (value.as_bool() ? "true" : "false")
              : value.is_null()                 ? "null"
                                                : python_str(value));
    text.set_quote(value.quote());
    return text;
  }
  if (name == "json_str") {
    Node text(to_json(value));
    text.set_quote('\'');
    return text;
  }
  const bool is_bool = value.kind() == Node::Kind::kBool;
  if (name == "int") {
    if (value.kind() == Node::Kind::kInt) return value;
    if (is_bool) return Node(value.as_bool() ? 1 : 0);
    if (value.kind() == Node::Kind::kFloat && std::isfinite(value.as_float())) {
      return Node(static_cast<std::int64_t>(value.as_float()));
    }
    if (value.is_string()) {
      if (auto parsed = python_int(value.as_string())) return *parsed;
    }
  } else if (name == "float") {
    if (is_number(value)) return Node(value.as_float());
    if (is_bool) return Node(value.as_bool() ? 1.0 : 0.0);
    if (value.is_string()) {
      if (auto parsed = python_float(value.as_string())) return Node(*parsed);
    }
  } else {
    if (is_bool) return value;
    if (is_number(value)) return Node(value.as_float() != 0);
    const std::string low = value.is_string() ? lower(value.as_string()) : "";
    if (low == "true" || low == "false") return Node(low == "true");
  }
  throw FunctionError(fmt::format("{}() cannot read {}", name, python_repr(value)));
}

Node cast_value(const std::string& name, const Node& value) {
  if (name == "json_str" || value.is_scalar()) return cast_scalar(name, value);
  Node out = value;
  for (Node& item : out.items()) item = cast_value(name, item);
  for (auto& [key, item] : out.entries()) item = cast_value(name, item);
  return out;
}

OverrideElement cast(const std::string& name, Arguments arguments) {
  if (arguments.empty()) throw FunctionError(name + "() wants a value");
  if (arguments.size() > 1) {  // int(1,2) is a simple sweep of casts
    OverrideElement all = choice(std::move(arguments));
    all.sweep->simple = true;
    for (Node& item : all.sweep->choices) item = cast_value(name, item);
    return all;
  }
  auto element = take(arguments, "value");
  if (!element) throw FunctionError(fmt::format("{}() takes 'value'", name));
  if (!element->sweep) return {cast_value(name, element->value), {}};
  Sweep& sweep = *element->sweep;
  if (sweep.kind == Sweep::Kind::kGlob) throw FunctionError(name + "() cannot cast a glob");
  for (Node& item : sweep.choices) item = cast_value(name, item);
  if (sweep.kind == Sweep::Kind::kRange || sweep.kind == Sweep::Kind::kInterval) {
    if (name != "int" && name != "float") throw FunctionError(name + "() cannot cast a range");
    for (Node* bound : {&sweep.start, &sweep.stop, &sweep.step}) {
      if (is_number(*bound)) *bound = cast_value(name, *bound);
    }
  }
  return std::move(*element);
}

bool less(const Node& a, const Node& b) {
  if (is_number(a) && is_number(b)) return a.as_float() < b.as_float();
  if (a.is_string() && b.is_string()) return a.as_string() < b.as_string();
  throw FunctionError("sort() wants values of one kind");
}

/// The sweep, or the list, that sort and shuffle work on.
OverrideElement collection(Arguments arguments, const std::string& name) {
  if (arguments.empty()) throw FunctionError(name + "() wants values");
  if (arguments.size() == 1) {
    OverrideElement element = std::move(arguments[0].element);
    if (element.sweep || element.value.is_list()) return element;
    throw FunctionError(name + "() wants a sweep or a list");
  }
  OverrideElement all = choice(std::move(arguments));
  all.sweep->simple = true;
  return all;
}

OverrideElement sort(Arguments arguments) {
  const bool reverse = flag(take_named(arguments, "reverse"), false);
  OverrideElement element = collection(std::move(arguments), "sort");
  const auto order = [reverse](const Node& a, const Node& b) {
    return reverse ? less(b, a) : less(a, b);
  };
  if (!element.sweep) {
    std::stable_sort(element.value.items().begin(), element.value.items().end(), order);
    return element;
  }
  Sweep& sweep = *element.sweep;
  if (sweep.kind == Sweep::Kind::kChoice) {
    std::stable_sort(sweep.choices.begin(), sweep.choices.end(), order);
  } else if (sweep.kind == Sweep::Kind::kRange) {
    const bool rising = sweep.step.as_float() > 0;
    if (rising == reverse) throw FunctionError("sort() of a range against its step");
  } else {
    throw FunctionError("sort() wants a choice or a range");
  }
  return element;
}

OverrideElement shuffle(Arguments arguments) {
  OverrideElement element = collection(std::move(arguments), "shuffle");
  if (element.sweep) element.sweep->shuffle = true;
  return element;
}

OverrideElement tag(Arguments arguments) {
  if (arguments.empty()) throw FunctionError("tag() wants a sweep");
  OverrideElement element = std::move(arguments.back().element);
  if (!element.sweep) throw FunctionError("tag() wants a sweep last");
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (!arguments[i].element.value.is_string()) throw FunctionError("tags are strings");
    element.sweep->tags.push_back(arguments[i].element.value.as_string());
  }
  std::sort(element.sweep->tags.begin(), element.sweep->tags.end());
  return element;
}

}  // namespace

OverrideElement call_override_function(const std::string& name, Arguments arguments) {
  if (name == "choice") return choice(std::move(arguments));
  if (name == "range") return range(std::move(arguments));
  if (name == "interval") return interval(std::move(arguments));
  if (name == "glob") return glob(std::move(arguments));
  if (name == "sort") return sort(std::move(arguments));
  if (name == "shuffle") return shuffle(std::move(arguments));
  if (name == "tag") return tag(std::move(arguments));
  for (const char* type : {"int", "float", "bool", "str", "json_str"}) {
    if (name == type) return cast(name, std::move(arguments));
  }
  throw FunctionError(
      fmt::format("no function '{}' (known: choice, range, interval, glob, sort, shuffle, tag, "
                  "int, float, bool, "
                  "str, json_str)",
                  name));
}

}  // namespace polyphony::config
