#include <polyphony/callbacks/stochastic_weight_averaging.h>

#include <algorithm>
#include <cmath>

#include <ATen/ops/add.h>
#include <ATen/ops/sub.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/optim/swa_lr.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {

using tensor::Value;

void StochasticWeightAveragingOptions::describe(config::Fields& f) {
  f.required("swa_lrs", swa_lrs, "learning rate while averaging");
  f.check("swa_lrs", swa_lrs > 0, "above 0");
  f("swa_epoch_start", swa_epoch_start, "first epoch (an int, from 1), or share of all epochs");
  f("annealing_epochs", annealing_epochs, "epochs in which the rate goes to swa_lrs");
  f.check("annealing_epochs", annealing_epochs >= 0, "at least 0");
  f("annealing_strategy", annealing_strategy, "shape of that change");
  using Kind = config::Node::Kind;
  const bool whole = swa_epoch_start.kind() == Kind::kInt && swa_epoch_start.as_int() >= 1;
  const bool share = swa_epoch_start.kind() == Kind::kFloat && swa_epoch_start.as_float() >= 0 &&
                     swa_epoch_start.as_float() <= 1;
  f.check("swa_epoch_start", whole || share, "an int of at least 1, or a float in [0, 1]");
}

StochasticWeightAveraging::StochasticWeightAveraging(Options options)
    : options_(std::move(options)) {}

void StochasticWeightAveraging::on_fit_start(train::Trainer& trainer) {
  const int epochs = trainer.max_epochs();
  if (epochs == -1) {
    throw ConfigError("StochasticWeightAveraging: the number of epochs is not known",
                      "set trainer.max_epochs");
  }
  for (const auto& [name, tensor] : trainer.task().state()) {
    if (!name.ends_with("running_mean")) continue;
    throw ConfigError(fmt::format("StochasticWeightAveraging: '{}' is a statistic of batches, "
                                  "which would not be that of the averaged weights",
                                  name),
                      "use a model without batch normalisation");
  }
  const config::Node& start = options_.swa_epoch_start;
  const std::int64_t first = start.kind() == config::Node::Kind::kInt
                                 ? start.as_int()
                                 : static_cast<std::int64_t>(epochs * start.as_float());
  start_ = std::max<std::int64_t>(first - 1, 0);
  last_ = epochs - 1;
  trainer_ = &trainer;
  swapped_ = false;
  // A fit that is resumed while averaging has the averaging schedule before its state is loaded.
  if (latest_epoch_ >= start_) take_over_schedule(trainer);
}

void StochasticWeightAveraging::take_over_schedule(train::Trainer& trainer) {
  optim::SwaLROptions schedule;
  schedule.swa_lr = options_.swa_lrs;
  schedule.anneal_epochs = options_.annealing_epochs;
  schedule.cosine = options_.annealing_strategy == Annealing::kCos;
  auto swa = std::make_unique<optim::SwaLR>(schedule);
  swa->attach(trainer.optimizer(), std::nullopt);
  trainer.set_schedule(std::move(swa));
  swapped_ = true;
}

void StochasticWeightAveraging::average(const tensor::NamedTensors& parameters) {
  const at::NoGradGuard no_grad;
  if (average_.empty()) {
    for (const auto& [name, parameter] : parameters) {
      average_.emplace_back(name, parameter.detach().clone());
    }
  } else {
    const auto count = static_cast<double>(averaged_ + 1);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      // A mean of its own: states that were taken before keep theirs.
      at::Tensor& mean = average_[i].second;
      mean = at::add(mean, at::sub(parameters[i].second.detach(), mean).div_(count));
    }
  }
  ++averaged_;
}

void StochasticWeightAveraging::on_train_epoch_start(train::Trainer& trainer) {
  const std::int64_t epoch = trainer.current_epoch();
  if (epoch < start_ || epoch > last_) return;
  if (!swapped_) take_over_schedule(trainer);
  if (epoch <= latest_epoch_) return;
  average(trainer.task().parameters());
  latest_epoch_ = epoch;
}

void StochasticWeightAveraging::on_train_end(train::Trainer& trainer) {
  if (trainer.current_epoch() - 1 != last_ || average_.empty()) return;
  const at::NoGradGuard no_grad;
  const tensor::NamedTensors parameters = trainer.task().parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    at::Tensor(parameters[i].second).copy_(average_[i].second);
  }
}

Value StochasticWeightAveraging::state_dict() const {
  Value average = Value::dict();
  for (const auto& [name, tensor] : average_) average.set(name, Value(tensor));
  Value state = Value::dict();
  state.set("n_averaged", Value(averaged_));
  state.set("latest_update_epoch", Value(latest_epoch_));
  state.set("scheduler_state", swapped_ ? trainer_->schedule()->state_dict() : Value());
  state.set("average_model_state", average_.empty() ? Value() : std::move(average));
  return state;
}

void StochasticWeightAveraging::load_state_dict(const Value& state) {
  averaged_ = state.at("n_averaged").as_int();
  latest_epoch_ = state.at("latest_update_epoch").as_int();
  average_.clear();
  const Value& average = state.at("average_model_state");
  if (average.kind() != Value::Kind::kDict || averaged_ == 0) return;
  for (const auto& [name, tensor] : average.entries()) {
    average_.emplace_back(name.as_string(), tensor.as_tensor().clone());
  }
}

POLYPHONY_REGISTER(train::Callback, StochasticWeightAveraging,
                   "polyphony.callbacks.StochasticWeightAveraging",
                   "averages the weights of the last epochs")

}  // namespace polyphony::callbacks
