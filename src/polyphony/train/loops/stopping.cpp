#include <polyphony/train/loops/stopping.h>

#include <filesystem>

#include <polyphony/base/signals.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/tensor/plain.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/loops/fit_checkpoint.h>
#include <polyphony/train/loops/trainer_state.h>

namespace polyphony::train {

using tensor::Value;

namespace {

/// The log's state without the loggers', who have written nothing since.
Value values_of(const MetricLog& log) {
  const Value whole = log.state();
  Value state = Value::dict();
  for (const auto& [key, value] : whole.entries()) {
    state.set(key, key.as_string() == "loggers" ? Value::list() : value);
  }
  return state;
}

}  // namespace

void save_interrupted(TrainerState& state, int signal_number, const BeforeEvaluation* before) {
  // One that this fit went on from is superseded by it; another's is not.
  Trainer& trainer = state.trainer;
  const std::filesystem::path path = state.collective().broadcast(
      free_checkpoint(trainer.checkpoint_directory(), "interrupted", state.resumed_from).string());
  if (before == nullptr) {
    trainer.save_checkpoint(path);
  } else {
    before->restore();
    const Value checkpoint = before->with_callbacks(dump_checkpoint(state, Contents::kEverything));
    if (trainer.is_global_zero()) tensor::save_archive(path, checkpoint);
    trainer.announce_checkpoint(path);
  }
  throw Interrupted(signal_number, path);
}

void stop_evaluation_if_asked(TrainerState& state) {
  const int number = state.collective().agreed_signal(StopSignals::requested());
  if (number != 0) throw Interrupted::unsaved(number);
}

BeforeEvaluation::BeforeEvaluation(TrainerState& state)
    : state_(state),
      stage_(state.metrics.enter(Stage::kTrain)),
      rng_(tensor::generator_state()),
      task_(tensor::copy_of(state.task->metric_state())),
      logged_(tensor::copy_of(values_of(state.metrics))) {
  state.metrics.enter(stage_);
  for (const auto& callback : state.parts.callbacks) {
    callbacks_.push_back(tensor::copy_of(callback->state_dict()));
  }
}

void BeforeEvaluation::restore() const {
  MetricLog& metrics = state_.metrics;
  metrics.enter(Stage::kValidate);
  metrics.reset_results();
  metrics.enter(stage_);
  metrics.load_state(logged_);
  metrics.on_epoch_start();
  state_.task->load_metric_state(task_);
  tensor::set_generator_state(rng_);
}

Value BeforeEvaluation::with_callbacks(const Value& checkpoint) const {
  Value states = Value::dict();
  for (std::size_t i = 0; i < callbacks_.size(); ++i) {
    const std::string key = state_.parts.callbacks[i]->state_key();
    if (!key.empty()) states.set(key, callbacks_[i]);
  }
  Value changed = Value::dict();
  for (const auto& [key, value] : checkpoint.entries()) {
    changed.set(key, key.as_string() == "callbacks" ? states : value);
  }
  return changed;
}

}  // namespace polyphony::train
