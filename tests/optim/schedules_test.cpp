#include <polyphony/optim/schedules.h>

#include <cstdio>
#include <map>
#include <regex>

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <golden.h>

#include <polyphony/base/error.h>
#include <polyphony/optim/plateau.h>
#include <polyphony/optim/sgd.h>

namespace polyphony::optim {
namespace {

using Json = nlohmann::json;

/// "NAME(key=value,[1,2],.5)" as its name and arguments; positional ones are "0", "1".
struct Call {
  std::string name;
  std::map<std::string, std::vector<double>> arguments;

  explicit Call(const std::string& text) : name(text.substr(0, text.find('('))) {
    static const std::regex kArgument(R"((?:(\w+)=)?(\[[^\]]*\]|[-+.\deE]+))");
    static const std::regex kNumber(R"([-+.\deE]+)");
    const std::string inside = text.substr(text.find('(') + 1);
    int position = 0;
    for (std::sregex_iterator it(inside.begin(), inside.end(), kArgument), end; it != end; ++it) {
      const std::string key = (*it)[1].matched ? (*it)[1].str() : std::to_string(position++);
      const std::string value = (*it)[2];
      for (std::sregex_iterator n(value.begin(), value.end(), kNumber); n != end; ++n) {
        arguments[key].push_back(std::stod(n->str()));
      }
    }
  }
  double get(const std::string& key, double otherwise) const {
    const auto found = arguments.find(key);
    return found == arguments.end() ? otherwise : found->second.front();
  }
  std::int64_t whole(const std::string& key) const {
    return static_cast<std::int64_t>(arguments.at(key).front());
  }
};

std::unique_ptr<Schedule> torch_schedule(const Call& call) {
  if (call.name == "StepLR") {
    StepLROptions o;
    o.step_size = call.whole("step_size");
    o.gamma = call.get("gamma", 0.1);
    return std::make_unique<StepLR>(o);
  }
  if (call.name == "ExponentialLR") {
    ExponentialLROptions o;
    o.gamma = call.get("0", call.get("gamma", 0));
    return std::make_unique<ExponentialLR>(o);
  }
  if (call.name == "MultiStepLR") {
    MultiStepLROptions o;
    for (const double milestone : call.arguments.at("0")) {
      o.milestones.push_back(static_cast<std::int64_t>(milestone));
    }
    o.gamma = call.get("1", call.get("gamma", 0.1));
    return std::make_unique<MultiStepLR>(o);
  }
  if (call.name == "LinearLR") {
    LinearLROptions o;
    o.start_factor = call.get("start_factor", 1.0 / 3);
    o.end_factor = call.get("end_factor", 1.0);
    o.total_iters = call.whole("total_iters");
    return std::make_unique<LinearLR>(o);
  }
  if (call.name == "OneCycleLR") {
    OneCycleLROptions o;
    o.max_lr = call.get("max_lr", 0);
    o.total_steps = call.whole("total_steps");
    return std::make_unique<OneCycleLR>(o);
  }
  if (call.name == "CosineAnnealingWarmRestarts") {
    CosineAnnealingWarmRestartsOptions o;
    o.t_0 = call.whole("T_0");
    o.t_mult = static_cast<std::int64_t>(call.get("T_mult", 1));
    o.eta_min = call.get("eta_min", 0);
    return std::make_unique<CosineAnnealingWarmRestarts>(o);
  }
  return nullptr;
}

std::unique_ptr<Schedule> schedule_of(const Json& trace) {
  const auto kind = trace.at("kind").get<std::string>();
  if (kind.starts_with("head_sequential")) {
    WarmupCosineOptions o;
    o.warmup_ratio = trace.at("warmup_ratio");
    o.eta_min_ratio = trace.at("eta_min").get<double>() / trace.at("lr").get<double>();
    return std::make_unique<WarmupCosine>(o);
  }
  if (kind.starts_with("jan_cosine")) {
    CosineAnnealingLROptions o;
    o.t_max = trace.at("T_max");
    o.eta_min = trace.at("eta_min");
    return std::make_unique<CosineAnnealingLR>(o);
  }
  if (kind.starts_with("hf_linear")) {
    LinearWarmupOptions o;
    o.warmup_steps = trace.at("warmup_steps");
    return std::make_unique<LinearWarmup>(o);
  }
  return torch_schedule(Call(kind));
}

/// An SGD on one weight; schedules only touch its rate.
Sgd optimizer_with(double lr) {
  SgdOptions options;
  options.lr = lr;
  Sgd sgd(options);
  sgd.attach({{"w", at::zeros({1})}});
  return sgd;
}

std::optional<std::int64_t> total_of(const Json& trace) {
  if (!trace.contains("total_steps")) return std::nullopt;
  return trace.at("total_steps").get<std::int64_t>();
}

TEST(Schedules, GoldenTraces) {
  int count = 0;
  const Json all = golden_json("sched/lr_traces.json");
  for (const Json& trace : all.at("traces")) {
    const auto kind = trace.at("kind").get<std::string>();
    const std::unique_ptr<Schedule> schedule = schedule_of(trace);
    ASSERT_NE(schedule, nullptr) << kind << ": no such schedule";
    Sgd sgd = optimizer_with(trace.at("lr"));
    schedule->attach(sgd, total_of(trace));
    std::size_t step = 0;
    for (const Json& lr : trace.at("lrs")) {
      const double want = lr;
      ASSERT_NEAR(sgd.groups().front().lr, want, 1e-12) << kind << " step " << step;
      const bool last = ++step == trace.at("lrs").size();
      if (last && !trace.at("error").is_null()) {
        EXPECT_THROW(schedule->step(), ConfigError) << kind << trace.at("error");
      } else if (!last) {
        schedule->step();
      }
    }
    ++count;
  }
  std::printf("learning-rate traces: %d\n", count);
  EXPECT_GT(count, 0);
}

/// The rates of a OneCycleLR of `total` steps, from the first on.
std::vector<double> one_cycle(std::int64_t total, double pct_start, int moves) {
  OneCycleLROptions options;
  options.max_lr = 1e-2;
  options.total_steps = total;
  options.pct_start = pct_start;
  OneCycleLR schedule(options);
  Sgd sgd = optimizer_with(0.1);
  schedule.attach(sgd, std::nullopt);
  std::vector<double> rates = {sgd.groups().front().lr};
  for (int i = 0; i < moves; ++i) {
    schedule.step();
    rates.push_back(sgd.groups().front().lr);
  }
  return rates;
}

/// PyTorch 1.13.1's numbers; a run of total_steps steps moves its schedule so often.
TEST(OneCycleLR, MovesAsOftenAsItHasSteps) {
  const std::vector<double> want = {0.0003999999999999993, 0.00811745653949763,
                                    0.0028306099820869924, 4e-08, 0.002830609982086991};
  const std::vector<double> rates = one_cycle(4, 0.3, 4);
  ASSERT_EQ(rates.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(rates[i], want[i], 1e-12) << i;
  try {
    one_cycle(4, 0.3, 5);
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("moved 5 times; total_steps is 4"));
  }
}

TEST(OneCycleLR, ARiseOrFallWithoutAStepIsLeftOut) {
  for (const auto& rates : {one_cycle(10, 0.1, 10), one_cycle(10, 1.0, 10), one_cycle(1, 1.0, 1)}) {
    for (const double rate : rates) EXPECT_TRUE(rate > 0 && rate <= 1e-2) << rate;
  }
}

/// Cannot give the rate of its third step.
class Breaking : public Schedule {
 public:
  Breaking() : Schedule(ScheduleTiming{}) {}

 protected:
  double rate(double, double base) const override {
    if (last_epoch() == 2) throw DataError("no rate");
    return base / static_cast<double>(last_epoch() + 1);
  }
};

TEST(Schedules, OneThatFailsStaysWhereItWas) {
  std::vector<std::unique_ptr<Schedule>> parts;
  parts.push_back(std::make_unique<Breaking>());
  std::vector<std::unique_ptr<Schedule>> schedules;
  schedules.push_back(std::make_unique<Breaking>());
  schedules.push_back(std::make_unique<SequentialLR>(ScheduleTiming{}, std::move(parts),
                                                     std::vector<std::int64_t>{}));
  for (const auto& schedule : schedules) {
    Sgd sgd = optimizer_with(1.0);
    schedule->attach(sgd, std::nullopt);
    schedule->step();
    const std::int64_t before = schedule->state_dict().at("last_epoch").as_int();
    EXPECT_THROW(schedule->step(), DataError);
    EXPECT_EQ(schedule->state_dict().at("last_epoch").as_int(), before);
    EXPECT_EQ(sgd.groups().front().lr, 0.5);
  }
}

TEST(Schedules, GoOnFromTheirStateToTheBit) {
  int count = 0;
  const Json all = golden_json("sched/lr_traces.json");
  for (const Json& trace : all.at("traces")) {
    Sgd straight = optimizer_with(trace.at("lr"));
    Sgd resumed = optimizer_with(trace.at("lr"));
    const std::unique_ptr<Schedule> one = schedule_of(trace);
    const std::unique_ptr<Schedule> two = schedule_of(trace);
    one->attach(straight, total_of(trace));
    two->attach(resumed, total_of(trace));
    const std::size_t half = trace.at("lrs").size() / 2;
    for (std::size_t i = 0; i < half; ++i) one->step();
    two->load_state_dict(one->state_dict());
    resumed.load_state_dict(straight.state_dict());
    for (std::size_t i = half; i + 1 < trace.at("lrs").size(); ++i) {
      one->step();
      two->step();
      ASSERT_EQ(straight.groups().front().lr, resumed.groups().front().lr) << trace.at("kind");
    }
    ++count;
  }
  EXPECT_GT(count, 0);
}

TEST(Schedules, WithoutAKnownNumberOfStepsIsAConfigErrorThatSaysWhatToSet) {
  Sgd sgd = optimizer_with(1.0);
  WarmupCosine schedule{WarmupCosineOptions{}};
  try {
    schedule.attach(sgd, std::nullopt);
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.remedy(), ::testing::HasSubstr("trainer.max_epochs"));
  }
}

TEST(ReduceLROnPlateau, CutsAfterPatienceAndWaitsForTheCooldown) {
  Sgd sgd = optimizer_with(1.0);
  ReduceLROnPlateauOptions options;
  options.factor = 0.5;
  options.patience = 1;
  options.cooldown = 2;
  ReduceLROnPlateau schedule(options);
  schedule.attach(sgd, std::nullopt);
  std::vector<double> rates;
  for (const double metric : {1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5}) {
    schedule.step(metric);
    rates.push_back(sgd.groups().front().lr);
  }
  EXPECT_EQ(rates, (std::vector<double>{1, 1, .5, .5, .5, .5, .25, .25, .25}));
}

TEST(SequentialLR, BeginsEachScheduleAnewAtItsMilestone) {
  Sgd sgd = optimizer_with(1.0);
  std::vector<std::unique_ptr<Schedule>> parts;
  ExponentialLROptions half;
  half.gamma = 0.5;
  parts.push_back(std::make_unique<ExponentialLR>(half));
  parts.push_back(std::make_unique<ExponentialLR>(half));
  SequentialLR schedule(ScheduleTiming{}, std::move(parts), {2});
  schedule.attach(sgd, std::nullopt);
  std::vector<double> rates;
  for (int i = 0; i < 4; ++i) {
    rates.push_back(sgd.groups().front().lr);
    schedule.step();
  }
  EXPECT_EQ(rates, (std::vector<double>{1, 0.5, 1, 0.5}));
}

}  // namespace
}  // namespace polyphony::optim
