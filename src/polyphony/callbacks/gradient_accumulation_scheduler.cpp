#include <polyphony/callbacks/gradient_accumulation_scheduler.h>

#include <charconv>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {
namespace {

/// An epoch, as an int key or as text.
std::optional<std::int64_t> epoch_of(const config::Node& key) {
  if (key.kind() == config::Node::Kind::kInt) return key.as_int();
  if (!key.is_string()) return std::nullopt;
  const std::string& text = key.as_string();
  std::int64_t epoch = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), epoch);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return epoch;
}

}  // namespace

void GradientAccumulationSchedulerOptions::describe(config::Fields& f) {
  f.required("scheduling", scheduling, "batches a step, by the epoch from which they hold");
}

GradientAccumulationScheduler::GradientAccumulationScheduler(const Options& options) {
  const ConfigError error("GradientAccumulationScheduler.scheduling: not epochs and batches",
                          "write e.g. {0: 4, 8: 1}: 4 batches a step, and 1 from epoch 8 on");
  if (!options.scheduling.is_map() || options.scheduling.entries().empty()) throw error;
  for (const auto& [key, batches] : options.scheduling.entries()) {
    const std::optional<std::int64_t> epoch = epoch_of(key);
    if (!epoch || *epoch < 0 || batches.kind() != config::Node::Kind::kInt ||
        batches.as_int() < 1) {
      throw error;
    }
    batches_from_[*epoch] = static_cast<int>(batches.as_int());
  }
  batches_from_.emplace(0, 1);
}

void GradientAccumulationScheduler::on_train_start(train::Trainer& trainer) {
  on_train_epoch_start(trainer);  // a fit that is resumed in mid-epoch
}

void GradientAccumulationScheduler::on_train_epoch_start(train::Trainer& trainer) {
  const auto next = batches_from_.upper_bound(trainer.current_epoch());
  trainer.set_accumulate_grad_batches(std::prev(next)->second);
}

POLYPHONY_REGISTER(train::Callback, GradientAccumulationScheduler,
                   "polyphony.callbacks.GradientAccumulationScheduler", "batches a step, by epoch")

}  // namespace polyphony::callbacks
