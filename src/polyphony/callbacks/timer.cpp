#include <polyphony/callbacks/timer.h>

#include <polyphony/base/notice.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {

using optim::Interval;
using tensor::Value;

void TimerOptions::describe(config::Fields& f) {
  f("duration", duration, "time to train; null: only measure");
  f("interval", interval, "look at the clock after each step or each epoch");
  f("verbose", verbose, "say when the time is up");
}

Timer::Timer(Options options, SecondsClock clock) : options_(options), clock_(std::move(clock)) {}

double Timer::time_elapsed() const {
  if (!start_) return offset_;
  return end_.value_or(clock_()) - *start_ + offset_;
}

void Timer::check(train::Trainer& trainer) {
  if (!options_.duration) return;
  const bool over = time_elapsed() >= options_.duration->seconds;
  if (!trainer.collective().rank_zero_says(over)) return;
  trainer.request_stop();
  if (options_.verbose && trainer.is_global_zero()) {
    inform("timer: {:.0f} s are up", options_.duration->seconds);
  }
}

void Timer::on_fit_start(train::Trainer& trainer) { check(trainer); }

void Timer::on_train_start(train::Trainer&) {
  start_ = clock_();
  end_.reset();
}

void Timer::on_train_end(train::Trainer&) { end_ = clock_(); }

void Timer::on_train_batch_end(train::Trainer& trainer, double, std::int64_t) {
  if (options_.interval == Interval::kStep) check(trainer);
}

void Timer::on_train_epoch_end(train::Trainer& trainer) {
  if (options_.interval == Interval::kEpoch) check(trainer);
}

Value Timer::state_dict() const {
  Value elapsed = Value::dict();
  elapsed.set("train", Value(time_elapsed()));
  for (const char* stage : {"sanity_check", "validate", "test", "predict"}) {
    elapsed.set(stage, Value(0.0));
  }
  Value state = Value::dict();
  state.set("time_elapsed", std::move(elapsed));
  return state;
}

void Timer::load_state_dict(const Value& state) {
  const Value* train = state.at("time_elapsed").find("train");
  if (train != nullptr) offset_ = train->as_float();
}

POLYPHONY_REGISTER(train::Callback, Timer, "polyphony.callbacks.Timer",
                   "measures the time of training and stops when it is up")

}  // namespace polyphony::callbacks
