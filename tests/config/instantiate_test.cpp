// Hydra's instantiate on our registry: each key as Hydra documents it, worked out for typed
// options.
#include <polyphony/config/bind/instantiate.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/config/yaml/yaml.h>

namespace instruments {

using polyphony::config::Child;
using polyphony::config::Fields;

struct Instrument {
  static constexpr const char* kKind = "Instrument";
  virtual ~Instrument() = default;
  virtual std::string tune() const = 0;
};

struct Optimizer {
  static constexpr const char* kKind = "Optimizer";
  virtual ~Optimizer() = default;
  double lr = 0;
};

struct LuteOptions {
  std::string wood = "yew";
  int strings = 6;
  double pitch = 440.0;
  std::vector<int> frets;
  Child<Instrument> second;

  void describe(Fields& f) {
    f("wood", wood, "of the belly");
    f("strings", strings, "how many");
    f.check("strings", strings >= 1, "at least 1");
    f("pitch", pitch, "of a', in hertz");
    f("frets", frets, "places");
    f("second", second, "what plays along");
  }
};

class Lute : public Instrument {
 public:
  using Options = LuteOptions;
  explicit Lute(Options options) : options_(std::move(options)) {
    if (options_.second.is_set()) {
      second_ = polyphony::config::build(options_.second, "duo.second");
    }
  }
  std::string tune() const override {
    std::string text = options_.wood + "/" + std::to_string(options_.strings);
    if (second_) text += "+" + second_->tune();
    return text;
  }

 private:
  Options options_;
  std::unique_ptr<Instrument> second_;
};
POLYPHONY_REGISTER(Instrument, Lute, "test.Lute", "a lute")

struct HarpOptions {
  int strings = 0;
  void describe(Fields& f) { f.required("strings", strings, "how many"); }
};
class Harp : public Instrument {
 public:
  using Options = HarpOptions;
  explicit Harp(Options options) : strings_(options.strings) {}
  std::string tune() const override { return "harp/" + std::to_string(strings_); }

 private:
  int strings_;
};
POLYPHONY_REGISTER(Instrument, Harp, "test.Harp", "a harp")

struct AdamWOptions {
  double lr = 1e-3;
  void describe(Fields& f) { f("lr", lr, "step"); }
};
class AdamW : public Optimizer {
 public:
  using Options = AdamWOptions;
  explicit AdamW(Options options) { lr = options.lr; }
};
POLYPHONY_REGISTER(Optimizer, AdamW, "polyphony.optim.AdamW", "an optimizer")

}  // namespace instruments

namespace {

using instruments::Instrument;
using instruments::Optimizer;
using polyphony::ConfigError;
using polyphony::config::Arguments;
using polyphony::config::build;
using polyphony::config::build_partial;
using polyphony::config::Node;
using polyphony::config::parse_yaml;
using testing::HasSubstr;

Node yaml(const std::string& text) { return parse_yaml(text, "duo.yaml"); }

std::string tuned(const std::string& text, const Arguments& given = {}) {
  return build<Instrument>(yaml(text), "duo", given)->tune();
}

/// What and remedy of the error.
std::string failure(const std::string& text, const Arguments& given = {}) {
  try {
    tuned(text, given);
  } catch (const ConfigError& error) {
    return std::string(error.what()) + "\n" + error.remedy();
  }
  return "no error";
}

TEST(Instantiate, BuildsTheClassOfTargetWithItsOptions) {
  EXPECT_EQ(tuned("{_target_: test.Lute, strings: 13}"), "yew/13");
}

TEST(Instantiate, BuildsNestedTargets) {
  EXPECT_EQ(tuned("{_target_: test.Lute, second: {_target_: test.Harp, strings: 22}}"),
            "yew/6+harp/22");
}

TEST(Instantiate, ArgsStandForTheOptionsInOrder) {
  EXPECT_EQ(tuned("{_target_: test.Lute, _args_: [plum, 7]}"), "plum/7");
  EXPECT_EQ(tuned("{_target_: test.Lute, _args_: [plum], strings: 8}"), "plum/8");
  EXPECT_EQ(tuned("{_target_: test.Lute, _args_: []}"), "yew/6");
}

TEST(Instantiate, ArgsKeepTheirTypesAndPlaces) {
  const std::string text = failure("_target_: test.Lute\n_args_:\n  - plum\n  - many\n");
  EXPECT_THAT(text, HasSubstr("duo.yaml:4: duo.strings: option of test.Lute wants int"));
}

TEST(Instantiate, RefusesAnOptionByPositionAndByName) {
  const std::string text = failure("_target_: test.Lute\nwood: yew\n_args_: [plum]\n");
  EXPECT_THAT(text, HasSubstr("duo.yaml:3"));
  EXPECT_THAT(text, HasSubstr("two values for wood: position 0 and the key of duo.yaml:2"));
}

TEST(Instantiate, RefusesMoreArgsThanOptions) {
  const std::string text = failure("{_target_: test.Harp, _args_: [1, 2]}");
  EXPECT_THAT(text, HasSubstr("2 values, but test.Harp has 1 options"));
  EXPECT_THAT(text, HasSubstr("in order: strings"));
}

TEST(Instantiate, RefusesArgsThatAreNoList) {
  EXPECT_THAT(failure("{_target_: test.Lute, _args_: plum}"), HasSubstr("_args_ is a list"));
}

TEST(Instantiate, CodeArgumentsReplaceArgsOfTheConfiguration) {
  EXPECT_EQ(tuned("{_target_: test.Lute, _args_: [plum, 7]}", {{Node("fir")}, Node::map()}),
            "fir/6");
}

TEST(Instantiate, CodeKeywordsAreMergedDeep) {
  const Node keywords = yaml("{strings: 9, second: {strings: 30}}");
  EXPECT_EQ(
      tuned("{_target_: test.Lute, second: {_target_: test.Harp, strings: 22}}", {{}, keywords}),
      "yew/9+harp/30");
}

TEST(Instantiate, CodeKeywordsGiveWhatTheConfigurationLeavesMissing) {
  EXPECT_EQ(tuned("_target_: test.Harp\nstrings: ???\n", {{}, yaml("{strings: 3}")}), "harp/3");
  EXPECT_THAT(failure("_target_: test.Harp\nstrings: ???\n"), HasSubstr("duo.strings"));
}

TEST(Instantiate, CodeMayNameTheTarget) {
  EXPECT_EQ(tuned("{strings: 4}", {{}, yaml("{_target_: test.Harp}")}), "harp/4");
}

TEST(Instantiate, CodeKeywordsOfUnknownNameAreErrors) {
  EXPECT_THAT(failure("{_target_: test.Lute}", {{}, yaml("{string: 1}")}),
              HasSubstr("did you mean 'strings'?"));
}

TEST(Instantiate, PartialIsAFactoryThatTakesTheRestLater) {
  const auto make =
      build_partial<Instrument>(yaml("{_target_: test.Harp, _partial_: true}"), "duo");
  EXPECT_EQ(make({{}, yaml("{strings: 5}")})->tune(), "harp/5");
  EXPECT_EQ(make({{Node(7)}, Node::map()})->tune(), "harp/7");
  EXPECT_THROW(make(), ConfigError);  // strings is still missing
}

TEST(Instantiate, LaterArgumentsFollowAndLaterKeywordsReplace) {
  const auto make = build_partial<Instrument>(
      yaml("{_target_: test.Lute, _partial_: true, _args_: [plum], pitch: 415.0}"), "duo");
  EXPECT_EQ(make({{Node(9)}, Node::map()})->tune(), "plum/9");
  const auto named = build_partial<Instrument>(yaml("{_target_: test.Lute, strings: 1}"), "duo");
  EXPECT_EQ(named({{}, yaml("{strings: 2}")})->tune(), "yew/2");
}

TEST(Instantiate, AFactoryKnowsItsOptionsAtOnce) {
  try {
    build_partial<Instrument>(yaml("{_target_: test.Lute, _partial_: true, stings: 1}"), "duo");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("duo.stings: no such option of test.Lute"));
    EXPECT_THAT(error.remedy(), HasSubstr("did you mean 'strings'?"));
  }
}

TEST(Instantiate, RefusesAFactoryWhereAnObjectIsWanted) {
  const std::string text = failure("_target_: test.Lute\n_partial_: true\n");
  EXPECT_THAT(text, HasSubstr("duo.yaml:2: duo._partial_"));
  EXPECT_THAT(text, HasSubstr("remove _partial_"));
  EXPECT_EQ(tuned("{_target_: test.Lute, _partial_: false}"), "yew/6");
}

TEST(Instantiate, OptimizersMayBePartialAsPythonNeeds) {
  const Node node = yaml("{_target_: torch.optim.AdamW, _partial_: true, lr: 0.5}");
  EXPECT_EQ(build<Optimizer>(node, "optimizer")->lr, 0.5);
}

TEST(Instantiate, RecursiveMeansTheSameEitherWay) {
  const std::string nested = "second: {_target_: test.Harp, strings: 2}}";
  EXPECT_EQ(tuned("{_target_: test.Lute, _recursive_: true, " + nested), "yew/6+harp/2");
  EXPECT_EQ(tuned("{_target_: test.Lute, _recursive_: false, " + nested), "yew/6+harp/2");
  EXPECT_THAT(failure("{_target_: test.Lute, _recursive_: sometimes}"),
              HasSubstr("duo._recursive_ is true or false, not 'sometimes'"));
}

TEST(Instantiate, TakesEveryModeOfConversion) {
  for (const char* mode : {"none", "partial", "object", "all", "ALL"}) {
    EXPECT_EQ(tuned(std::string("{_target_: test.Lute, _convert_: ") + mode + "}"), "yew/6");
  }
  EXPECT_THAT(failure("{_target_: test.Lute, _convert_: some}"),
              HasSubstr("write none, partial, object or all"));
}

TEST(Instantiate, RefusesOtherKeysBetweenUnderscores) {
  EXPECT_THAT(failure("{_target_: test.Lute, _parts_: [1]}"),
              HasSubstr("duo._parts_: no such option"));
}

TEST(Instantiate, NeedsATarget) {
  const std::string text = failure("{strings: 1}");
  EXPECT_THAT(text, HasSubstr("duo: a Instrument needs _target_"));
  EXPECT_THAT(text, HasSubstr("known: test.Lute, test.Harp"));
}

TEST(Instantiate, RefusesAClassOfAnotherKind) {
  EXPECT_THAT(failure("{_target_: polyphony.optim.AdamW}"),
              HasSubstr("polyphony.optim.AdamW is a Optimizer, but a Instrument is wanted here"));
}

}  // namespace
