#include <polyphony/train/stopping.h>

#include <filesystem>

#include <polyphony/base/signals.h>
#include <polyphony/tensor/pickle.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/checkpoint.h>
#include <polyphony/train/trainer.h>

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

void save_interrupted(Trainer& trainer, int signal_number, const BeforeEvaluation* before) {
  // One that this fit went on from is superseded by it; another's is not.
  const std::filesystem::path path = trainer.strategy().broadcast(
      free_checkpoint(trainer.checkpoint_directory(), "interrupted", trainer.resumed_from())
          .string());
  if (before == nullptr) {
    trainer.save_checkpoint(path);
  } else {
    before->restore();
    write_checkpoint(trainer, path,
                     before->with_callbacks(dump_checkpoint(trainer, Contents::kEverything)));
  }
  throw Interrupted(signal_number, path);
}

void stop_evaluation_if_asked(Trainer& trainer) {
  const int number = trainer.strategy().agreed_signal(StopSignals::requested());
  if (number != 0) throw Interrupted::unsaved(number);
}

BeforeEvaluation::Kept::Kept(const Value& value) : pickled_(tensor::pickle(value, storages_)) {
  for (at::Tensor& storage : storages_) storage = storage.clone();
}

Value BeforeEvaluation::Kept::value() const {
  const auto load = [this](const tensor::StorageRef& ref) {
    return storages_.at(static_cast<std::size_t>(std::stoul(ref.key))).flatten().clone();
  };
  return tensor::unpickle(pickled_, load, "state before an evaluation");
}

BeforeEvaluation::BeforeEvaluation(Trainer& trainer)
    : trainer_(trainer),
      stage_(trainer.metric_log().enter(Stage::kTrain)),
      rng_(tensor::generator_state()),
      metrics_(trainer.task().metric_state()),
      log_(values_of(trainer.metric_log())) {
  trainer.metric_log().enter(stage_);
  for (const auto& callback : trainer.callbacks()) callbacks_.emplace_back(callback->state_dict());
}

void BeforeEvaluation::restore() const {
  MetricLog& log = trainer_.metric_log();
  log.enter(Stage::kValidate);
  log.reset_results();
  log.enter(stage_);
  log.load_state(log_.value());
  log.on_epoch_start();
  trainer_.task().load_metric_state(metrics_.value());
  tensor::set_generator_state(rng_);
}

Value BeforeEvaluation::with_callbacks(const Value& checkpoint) const {
  Value states = Value::dict();
  for (std::size_t i = 0; i < callbacks_.size(); ++i) {
    const std::string key = trainer_.callbacks()[i]->state_key();
    if (!key.empty()) states.set(key, callbacks_[i].value());
  }
  Value changed = Value::dict();
  for (const auto& [key, value] : checkpoint.entries()) {
    changed.set(key, key.as_string() == "callbacks" ? states : value);
  }
  return changed;
}

}  // namespace polyphony::train
