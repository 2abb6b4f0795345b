// Hostile input ends in an error of the right class; resolvers of our own are called.
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include <polyphony/config/compose/override.h>
#include <polyphony/config/compose/sweep.h>
#include <polyphony/config/interpolate/interpolate.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/interpolation_grammar.h>
#include <polyphony/config/yaml/yaml.h>

namespace polyphony::config {
namespace {

/// The original's class of the error that `action` ends in; "" for none.
template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const ComposeError& error) {
    return error.original_class();
  }
  return "";
}

TEST(Limits, DeepYamlIsAnError) {
  for (const char* opening : {"[", "{a: ", "- "}) {
    std::string text;
    for (int i = 0; i < 10000; ++i) text += opening;
    EXPECT_EQ(error_of([&] { parse_yaml(text, "deep"); }), "RecursionError") << opening;
  }
}

TEST(Limits, AliasesThatMultiplyAreAnError) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 0; k < 9; ++k) text += ", " + before;
    text += "]\n";
  }
  EXPECT_EQ(error_of([&] { parse_yaml(text, "bomb"); }), "ConstructorError");
}

TEST(Limits, InterpolationsThatMultiplyAreAnError) {
  Node root = Node::map();
  root.set("a0", "xxxxxxxxxx");
  for (int i = 1; i < 30; ++i) {
    const std::string before = "${a" + std::to_string(i - 1) + "}";
    root.set("a" + std::to_string(i), Node(before + before));
  }
  EXPECT_EQ(error_of([&] { resolve(root); }), "InterpolationResolutionError");
}

TEST(Limits, CirclesAreAnError) {
  const Node texts = parse_yaml("a: ${b}\nb: x${c}\nc: ${a}\n", "circle");
  EXPECT_EQ(error_of([&] { resolve(texts); }), "InterpolationResolutionError");
  const Node parent = parse_yaml("a: {b: '${a}'}\n", "circle");
  EXPECT_EQ(error_of([&] { resolve(parent); }), "InterpolationResolutionError");
}

TEST(Limits, DeepTextsAreErrorsOfTheirGrammars) {
  std::string interpolation, override_text = "a=";
  for (int i = 0; i < 10000; ++i) {
    interpolation += "${";
    override_text += "[";
  }
  EXPECT_EQ(error_of([&] { check_interpolations(Node(interpolation)); }), "GrammarParseError");
  EXPECT_EQ(error_of([&] { parse_override(override_text); }), "OverrideParseException");
}

TEST(Limits, RangesWithoutEndAreErrors) {
  for (const char* text :
       {"a=range(0,inf,0.5)", "a=range(0,1e18,0.1)", "a=range(9223372036854775000)"}) {
    const Override parsed = parse_override(text);
    EXPECT_EQ(error_of([&] { sweep_values(parsed, nullptr); }), "HydraException") << text;
  }
}

TEST(Resolvers, ThoseOfAContextAndRegisteredOnesAreCalled) {
  register_resolver("limits_test.sum", [](const std::vector<Node>& arguments) {
    std::int64_t total = 0;
    for (const Node& argument : arguments) total += argument.as_int();
    return Node(total);
  });
  ResolveContext context;
  context.resolvers["twice"] = [](const std::vector<Node>& arguments) {
    return Node(arguments.at(0).as_string() + arguments.at(0).as_string());
  };
  const Node root = parse_yaml("n: 2\na: '${limits_test.sum:${n},3}'\nb: '${twice:ab}'\n", "case");
  const Node resolved = resolve(root, context);
  EXPECT_EQ(*resolved.find("a"), Node(5));
  EXPECT_EQ(*resolved.find("b"), Node("abab"));
  EXPECT_THROW(register_resolver("limits_test.sum", {}), std::invalid_argument);
  EXPECT_THROW(register_resolver("oc.env", {}), std::invalid_argument);
}

TEST(Resolvers, AnExceptionInsideIsAnErrorOfTheInterpolation) {
  ResolveContext context;
  context.resolvers["bad"] = [](const std::vector<Node>&) -> Node {
    throw std::runtime_error("no luck");
  };
  const Node root = parse_yaml("a: '${bad:}'\n", "case");
  try {
    resolve(root, context);
    FAIL() << "no error";
  } catch (const ComposeError& error) {
    EXPECT_EQ(error.original_class(), "InterpolationResolutionError");
    EXPECT_EQ(error.key(), "a");
    EXPECT_NE(std::string(error.what()).find("no luck"), std::string::npos);
  }
}

}  // namespace
}  // namespace polyphony::config
