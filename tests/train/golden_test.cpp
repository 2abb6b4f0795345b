// Training trajectories of the reference: its model, from fixed weights and batches. How far ours
// may be from them, and what was measured, is in tests/golden/train/README.md.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <sstream>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <scratch.h>

#include <polyphony/optim/adamw.h>
#include <polyphony/optim/schedules.h>
#include <polyphony/train/trainer.h>

#include "golden_case.h"
#include "plain_trajectory.h"

namespace polyphony::train {
namespace {

/// torchmetrics 0.11.4's macro F1 and accuracy of one batch: absent classes count as 0.
std::pair<double, double> batch_metrics(const at::Tensor& logits, const at::Tensor& label) {
  const std::int64_t classes = logits.size(1);
  const at::Tensor pred = logits.argmax(1);
  double f1 = 0;
  double accuracy = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    const auto count = [](const at::Tensor& mask) { return mask.sum().item<double>(); };
    const double both = count((pred == c) & (label == c));
    const double said = count(pred == c);
    const double is = count(label == c);
    if (said + is > 0) f1 += 2 * both / (said + is);
    if (is > 0) accuracy += both / is;
  }
  return {f1 / static_cast<double>(classes), accuracy / static_cast<double>(classes)};
}

/// The reference's module: cross-entropy, and each batch's metrics averaged over rows.
class Reference : public Task {
 public:
  explicit Reference(const GoldenCase& one) : model_(model_of(one)) {}
  /// Moves each weight by one unit in its last place, up or down.
  void perturb(unsigned seed) {
    const at::NoGradGuard no_grad;
    std::mt19937 random(seed);
    for (auto& item : model_->named_parameters()) {
      float* values = item.value().data_ptr<float>();
      for (std::int64_t i = 0; i < item.value().numel(); ++i) {
        values[i] = std::nextafter(values[i], random() % 2 == 0 ? INFINITY : -INFINITY);
      }
    }
  }
  void setup(const data::Dataset&) override {}
  at::Tensor training_step(const data::Batch& batch, std::int64_t) override {
    return step(batch, "train_");
  }
  void validation_step(const data::Batch& batch, std::int64_t) override { step(batch, "val_"); }
  at::Tensor predict_step(const data::Batch& batch, std::int64_t) override {
    return logits_of(batch);
  }
  NamedTensors parameters() const override {
    NamedTensors named;
    for (const auto& item : model_->named_parameters()) {
      named.emplace_back("model." + item.key(), item.value());
    }
    return named;
  }
  NamedTensors state() const override { return parameters(); }
  void load_state(const NamedTensors&, const std::string&) override {}
  void set_training(bool on) override { model_->train(on); }
  std::string summary(int) const override { return ""; }

 private:
  at::Tensor logits_of(const data::Batch& batch) {
    return model_->forward(batch.at("audio_hidden"), batch.at("audio_mask"),
                           batch.at("text_hidden"), batch.at("text_mask"));
  }
  at::Tensor step(const data::Batch& batch, const std::string& prefix) {
    const at::Tensor logits = logits_of(batch);
    const at::Tensor loss = at::cross_entropy_loss(logits, batch.at("label"));
    const auto [f1, accuracy] = batch_metrics(logits.detach(), batch.at("label"));
    LogOptions epoch;
    epoch.on_step = false;
    epoch.on_epoch = true;
    log(prefix + "loss", loss.detach(), epoch);
    log(prefix + "MulticlassF1Score", f1, epoch);
    log(prefix + "MulticlassAccuracy", accuracy, epoch);
    return loss;
  }

  std::shared_ptr<models::MultiModalTransformer> model_;
};

/// Notes what each step gives; the rate is the case's at every step.
class Steps : public Callback {
 public:
  Steps(const nlohmann::json& facts, Trajectory& trajectory)
      : facts_(facts), trajectory_(trajectory) {}
  void on_train_batch_start(Trainer& trainer, const data::Batch&, std::int64_t) override {
    EXPECT_NEAR(trainer.optimizer().groups().front().lr, step().at("lr").get<double>(), 1e-12);
  }
  void on_before_backward(Trainer&, const at::Tensor& loss) override {
    trajectory_.losses.push_back(loss.item<double>());
    trajectory_.grad_norms.push_back(NAN);
  }
  void on_before_optimizer_step(Trainer&, optim::Optimizer& optimizer) override {
    trajectory_.grad_norms.back() = optim::grad_norm(optimizer);
  }
  void on_train_batch_end(Trainer& trainer, double, std::int64_t) override {
    EXPECT_NEAR(trainer.optimizer().groups().front().lr, step().at("lr_after").get<double>(),
                1e-12);
    ++seen_;
  }

 private:
  const nlohmann::json& step() const { return facts_.at("steps").at(seen_); }
  const nlohmann::json& facts_;
  Trajectory& trajectory_;
  std::size_t seen_ = 0;
};

/// The text of Lightning's CSVLogger.
class CsvText : public Logger {
 public:
  explicit CsvText(std::vector<std::map<std::string, double>>& rows,
                   std::vector<std::string>& header)
      : rows_(rows), header_(header) {}
  void log_metrics(const MetricValues& values, std::int64_t step, std::int64_t epoch) override {
    MetricValues row = values;
    row.emplace_back("epoch", static_cast<double>(epoch));
    row.emplace_back("step", static_cast<double>(step));
    for (const auto& [name, value] : row) {
      if (std::find(header_.begin(), header_.end(), name) == header_.end()) header_.push_back(name);
    }
    rows_.emplace_back(row.begin(), row.end());
  }

 private:
  std::vector<std::map<std::string, double>>& rows_;
  std::vector<std::string>& header_;
};

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == ',') {
      cells.emplace_back();
    } else if (c != '\r') {
      cells.back() += c;
    }
  }
  return cells;
}

/// Largest differences from the case, relative; those of weights are absolute.
struct Distances {
  std::vector<double> steps;  ///< of loss and gradient norm, by batch
  double logged = 0;
  double weights = 0;
  int weights_compared = 0;

  void widen(const Distances& other) {
    steps.resize(std::max(steps.size(), other.steps.size()));
    for (std::size_t i = 0; i < other.steps.size(); ++i) {
      steps[i] = std::max(steps[i], other.steps[i]);
    }
    logged = std::max(logged, other.logged);
    weights = std::max(weights, other.weights);
    weights_compared = std::max(weights_compared, other.weights_compared);
  }
  void print(const std::string& what) const {
    std::printf("%-33s steps", what.c_str());
    for (const double step : steps) std::printf(" %.1e", step);
    std::printf("; logged %.1e; weights %.1e\n", logged, weights);
  }
};

double relative(double value, double want) {
  return value == want ? 0 : std::abs(value - want) / std::abs(want);
}

/// Of a trajectory's steps and final weights.
Distances distances(const GoldenCase& one, const Trajectory& mine) {
  Distances found;
  const nlohmann::json& steps = one.facts.at("steps");
  EXPECT_EQ(mine.losses.size(), steps.size());
  int optimizer_steps = 0;
  for (std::size_t i = 0; i < std::min(mine.losses.size(), steps.size()); ++i) {
    found.steps.push_back(relative(mine.losses[i], steps.at(i).at("loss")));
    if (std::isnan(mine.grad_norms[i])) continue;  // the case repeats the last step's norm here
    ++optimizer_steps;
    const double norm = steps.at(i).at("grad_norm_hook");
    found.steps[i] = std::max(found.steps[i], relative(mine.grad_norms[i], norm));
  }
  EXPECT_EQ(optimizer_steps, one.facts.at("global_step").get<int>());
  for (const auto& [name, weight] : mine.weights) {
    const auto golden = one.tensors.find("final.model." + name);
    if (golden == one.tensors.end()) continue;
    at::Tensor difference = (weight.detach() - golden->second).abs();
    if (name.ends_with("in_proj_bias")) {  // the key third has no gradient but rounding
      const std::int64_t third = difference.size(0) / 3;
      difference =
          at::cat({difference.narrow(0, 0, third), difference.narrow(0, 2 * third, third)});
    }
    found.weights = std::max(found.weights, difference.max().item<double>());
    ++found.weights_compared;
  }
  return found;
}

/// @return the largest relative difference of a value that is logged as a number of float32
double logged_distance(const std::string& text, const std::vector<std::string>& header,
                       const std::vector<std::map<std::string, double>>& rows) {
  std::istringstream in(text);
  std::string line;
  std::getline(in, line);
  EXPECT_EQ(cells_of(line), header);
  double most = 0;
  std::size_t row = 0;
  for (; std::getline(in, line); ++row) {
    if (row >= rows.size()) continue;
    const std::vector<std::string> cells = cells_of(line);
    for (std::size_t c = 0; c < cells.size(); ++c) {
      EXPECT_EQ(rows[row].contains(header[c]), !cells[c].empty()) << line << " " << header[c];
      if (cells[c].empty() || !rows[row].contains(header[c])) continue;
      most = std::max(most, relative(rows[row].at(header[c]), std::stod(cells[c])));
    }
  }
  EXPECT_EQ(row, rows.size());
  return most;
}

Optimization optimization_of(const GoldenCase& one) {
  Optimization optimization;
  optim::AdamWOptions adamw;
  std::istringstream words(one.facts.at("optimizer").get<std::string>());
  for (std::string word; words >> word;) {
    if (word == "lr") words >> adamw.lr;
    if (word == "wd") words >> adamw.weight_decay;
  }
  optimization.optimizer = std::make_unique<optim::AdamW>(adamw);
  if (one.facts.at("t_max").is_null()) {
    optim::WarmupCosineOptions cosine;
    cosine.warmup_ratio = one.facts.at("warmup_ratio");
    cosine.eta_min_ratio = one.facts.at("eta_min_ratio");
    optimization.schedule = std::make_unique<optim::WarmupCosine>(cosine);
  } else {
    optim::CosineAnnealingLROptions cosine;
    cosine.interval = optim::Interval::kStep;
    cosine.t_max = one.facts.at("t_max");
    cosine.eta_min = one.facts.at("eta_min");
    optimization.schedule = std::make_unique<optim::CosineAnnealingLR>(cosine);
  }
  return optimization;
}

TrainerOptions trainer_options(const GoldenCase& one) {
  TrainerOptions options;
  options.max_epochs = one.facts.at("epochs").get<int>();
  options.accumulate_grad_batches = one.facts.at("accumulate");
  options.num_sanity_val_steps = 0;
  if (!one.facts.at("clip").is_null())
    options.gradient_clip_val = one.facts.at("clip").get<double>();
  return options;
}

/// Trains the case; what no rounding changes is as it says. A seed changes the rounding of all that
/// is computed.
Distances train_case(const GoldenCase& one, std::optional<unsigned> seed = std::nullopt) {
  std::vector<std::map<std::string, double>> rows;
  std::vector<std::string> header;
  Trajectory trajectory;
  TrainerParts parts;
  parts.callbacks.push_back(std::make_unique<Steps>(one.facts, trajectory));
  parts.loggers.push_back(std::make_unique<CsvText>(rows, header));
  Trainer trainer(trainer_options(one), scratch_directory(), std::move(parts));
  const GoldenRows dataset(one);
  data::LoaderOptions loading;
  loading.batch_size = one.facts.at("batch");
  loading.workers = 0;
  data::Loader train_loader(dataset, loading);
  data::Loader val_loader(dataset, loading);
  Reference task(one);
  if (seed) task.perturb(*seed);
  task.optimize_with(optimization_of(one));
  trainer.fit(task, train_loader, &val_loader);
  EXPECT_EQ(trainer.global_step(), one.facts.at("global_step").get<std::int64_t>());
  EXPECT_EQ(trainer.estimated_stepping_batches(),
            one.facts.at("estimated_stepping_batches").get<std::int64_t>());
  EXPECT_NEAR(trainer.optimizer().groups().front().lr, one.facts.at("final_lr").get<double>(),
              1e-12);
  std::size_t place = 0;
  for (const auto& [name, parameter] : task.parameters()) {
    EXPECT_EQ(name, one.facts.at("param_order").at(place++).get<std::string>());
    trajectory.weights[name.substr(std::string("model.").size())] = parameter;
  }
  Distances found = distances(one, trajectory);
  found.logged = logged_distance(one.facts.at("logged"), header, rows);
  for (const auto& [name, value] : one.facts.at("callback_metrics").items()) {
    const double* mine = find_value(trainer.callback_metrics(), name);
    EXPECT_NE(mine, nullptr) << name;
    if (mine != nullptr) found.logged = std::max(found.logged, relative(*mine, value));
  }
  return found;
}

/// How far a trajectory may be from the reference's: the rounding of one pass, and twice what comes
/// of the weights and ReLUs that rounding decides.
class Bounds {
 public:
  explicit Bounds(const GoldenCase& one) {
    for (const Rounding rounding : {Rounding::kUp, Rounding::kDown}) {
      decided_.widen(distances(one, PlainTraining(one, rounding).run()));
    }
    decided_.print(one.tag + ", decided");
  }
  void expect_within(const Distances& found) const {
    ASSERT_EQ(found.steps.size(), decided_.steps.size());
    EXPECT_LT(found.steps.front(), kPass) << "first batch";
    for (std::size_t i = 1; i < found.steps.size(); ++i) {
      EXPECT_LT(found.steps[i], bound(i)) << "batch " << i;
    }
    double most = 0;
    for (std::size_t i = 0; i < decided_.steps.size(); ++i) most = std::max(most, bound(i));
    EXPECT_LT(found.logged, most);
    EXPECT_LT(found.weights, kWeights);
  }

 private:
  static constexpr double kPass = 2e-6;
  static constexpr double kWeights = 5e-6;  // absolute; the case that has them is decided by none
  double bound(std::size_t step) const { return kPass + 2 * decided_.steps[step]; }
  Distances decided_;
};

TEST(Trainer, GoldenTrajectories) {
  int weights = 0;
  const std::vector<GoldenCase> cases = load_cases();
  for (const GoldenCase& one : cases) {
    SCOPED_TRACE(one.tag);
    const Bounds bounds(one);
    const Distances found = train_case(one);
    found.print(one.tag);
    bounds.expect_within(found);
    const Distances exact = distances(one, PlainTraining(one).run());
    exact.print(one.tag + ", float64");
    bounds.expect_within(exact);
    weights += found.weights_compared;
  }
  std::printf("training trajectories: %zu; final weights compared: %d\n", cases.size(), weights);
  EXPECT_GT(cases.size(), 0U);
}

TEST(TrainerSlow, GoldenTrajectoriesOfOtherRoundingsAreWithinTheBounds) {
  const char* wanted = std::getenv("POLYPHONY_ROUNDINGS");
  const int roundings = wanted != nullptr ? std::atoi(wanted) : 20;
  for (const GoldenCase& one : load_cases()) {
    SCOPED_TRACE(one.tag);
    Distances most;
    for (int i = 0; i < roundings; ++i) most.widen(train_case(one, static_cast<unsigned>(i)));
    most.print(one.tag + ", most of " + std::to_string(roundings));
    Bounds(one).expect_within(most);
  }
}

}  // namespace
}  // namespace polyphony::train
