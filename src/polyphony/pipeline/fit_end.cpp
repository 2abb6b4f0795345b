#include <polyphony/pipeline/fit_end.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace polyphony::pipeline {
namespace {

using config::Node;
using tensor::Value;

/// DD:HH:MM:SS
std::string time_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::ceil(seconds));
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  return fmt::format("{:02}:{:02}:{:02}:{:02}", whole / kDay, whole % kDay / kHour,
                     whole % kHour / kMinute, whole % kMinute);
}

/// The class of a callback, without its module; empty where it is none.
std::string type_of(const Node& callback) {
  const Node* target = callback.is_map() ? callback.find("_target_") : nullptr;
  if (target == nullptr || !target->is_string()) return {};
  const std::string name = target->as_string();
  return name.substr(name.rfind('.') + 1);
}

bool has_duration(const Node& timer) {
  const Node* duration = timer.find("duration");
  return duration != nullptr && !duration->is_null();
}

/// Collects what to raise.
class Advice {
 public:
  Advice(const FitState& state, const Node& config) : state_(state), config_(config) {}

  void raise(const std::string& key, const std::string& value) {
    const char* plus = config_.select(key) == nullptr ? "+" : "";
    end_.advice.push_back(fmt::format("{}{}={}", plus, key, value));
  }
  void limits(const train::TrainerOptions& limits, bool unimodal) {
    const std::int64_t epochs = limits.max_epochs.value_or(-1);
    if (epochs != -1 && state_.epochs >= epochs) {
      reached(unimodal ? "training_arguments.num_train_epochs" : "trainer.max_epochs",
              std::to_string(2 * std::max<std::int64_t>(1, state_.epochs)));
    }
    if (limits.max_steps != -1 && state_.steps >= limits.max_steps) {
      reached(unimodal ? "training_arguments.max_steps" : "trainer.max_steps",
              std::to_string(2 * std::max<std::int64_t>(1, state_.steps)));
    }
  }
  void time(const std::string& key, double seconds) {
    const Value* timer = state("Timer");
    const Value* elapsed = timer == nullptr ? nullptr : timer->find("time_elapsed");
    const Value* train = elapsed == nullptr ? nullptr : elapsed->find("train");
    const double taken = train == nullptr ? 0 : train->as_float();
    const std::string more = time_text(2 * std::max({seconds, taken, 1.0}));
    if (taken >= seconds) {
      reached(key, more);
    } else {
      possible_.emplace_back(key, more);
    }
  }
  void callback(const std::string& key, const Node& options) {
    const std::string type = type_of(options);
    if (type == "Timer" && has_duration(options)) {
      train::Duration limit;
      if (train::read(*options.find("duration"), limit)) time(key + ".duration", limit.seconds);
    }
    if (type == "EarlyStopping") early_stopping(key, options);
  }
  FitEnd end() && {
    // The last checkpoint may be older than the end, and epoch 0 looks as if never stopped.
    if (end_.advice.empty()) {
      for (const auto& [key, value] : possible_) raise(key, value);
    }
    return std::move(end_);
  }

 private:
  void reached(const std::string& key, const std::string& value) {
    raise(key, value);
    end_.limit_reached = true;
  }
  const Value* state(const std::string& prefix) const {
    if (state_.callbacks.kind() != Value::Kind::kDict) return nullptr;
    for (const auto& [key, value] : state_.callbacks.entries()) {
      if (key.as_string().starts_with(prefix)) return &value;
    }
    return nullptr;
  }
  void early_stopping(const std::string& key, const Node& options) {
    const Node* monitor = options.find("monitor");
    if (monitor == nullptr || !monitor->is_string()) return;
    const Value* saved =
        state(fmt::format("EarlyStopping{{'monitor': '{}',", monitor->as_string()));
    if (saved == nullptr) return;
    const std::int64_t waited = saved->at("wait_count").as_int();
    const std::int64_t patience = saved->at("patience").as_int();
    if (waited > 0 && waited >= patience) {
      raise(key + ".patience", std::to_string(2 * waited));
    } else if (saved->at("stopped_epoch").as_int() > 0) {  // a threshold, or not finite
      raise(key, "null");
    } else {
      possible_.emplace_back(key, "null");
    }
  }

  const FitState& state_;
  const Node& config_;
  FitEnd end_;
  std::vector<std::pair<std::string, std::string>> possible_;  ///< where the state shows no end
};

}  // namespace

FitEnd fit_end(const FitState& state, const Node& config, const train::TrainerOptions& limits,
               bool unimodal) {
  Advice advice(state, config);
  const Node* callbacks = config.find("callbacks");
  const bool named = callbacks != nullptr && callbacks->is_map();
  bool timer = false;
  if (named) {
    for (const auto& [name, callback] : callbacks->entries()) {
      timer = timer || (type_of(callback) == "Timer" && has_duration(callback));
    }
  }
  advice.limits(train::settled(limits, timer), unimodal);
  if (limits.max_time && !timer) advice.time("trainer.max_time", limits.max_time->seconds);
  if (named) {
    for (const auto& [name, callback] : callbacks->entries()) {
      advice.callback("callbacks." + name.as_string(), callback);
    }
  }
  return std::move(advice).end();
}

}  // namespace polyphony::pipeline
