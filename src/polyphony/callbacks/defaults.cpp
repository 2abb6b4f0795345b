#include <polyphony/callbacks/defaults.h>

#include <algorithm>

#include <polyphony/base/error.h>
#include <polyphony/callbacks/model_checkpoint.h>
#include <polyphony/callbacks/model_summary.h>
#include <polyphony/callbacks/progress_bar.h>
#include <polyphony/callbacks/timer.h>

namespace polyphony::callbacks {
namespace {

using Callbacks = std::vector<std::unique_ptr<train::Callback>>;

template <class Kind>
bool has(const Callbacks& callbacks) {
  return std::any_of(callbacks.begin(), callbacks.end(), [](const auto& callback) {
    return dynamic_cast<const Kind*>(callback.get()) != nullptr;
  });
}

}  // namespace

Callbacks with_defaults(Callbacks configured, const train::TrainerOptions& options) {
  const bool dev_run = options.fast_dev_run.count > 0;
  if (!options.enable_checkpointing && !dev_run && has<ModelCheckpoint>(configured)) {
    throw ConfigError(
        "trainer.enable_checkpointing is false, but callbacks has a ModelCheckpoint",
        "write callbacks.model_checkpoint=null, or trainer.enable_checkpointing=true");
  }
  Callbacks all;
  if (options.enable_progress_bar && !has<ProgressBar>(configured)) {
    all.push_back(std::make_unique<ProgressBar>());
  }
  for (auto& callback : configured) all.push_back(std::move(callback));
  if (options.enable_model_summary && !has<ModelSummary>(all)) {
    all.push_back(std::make_unique<ModelSummary>());
  }
  if (options.max_time && !has<Timer>(all)) {
    TimerOptions timer;
    timer.duration = options.max_time;
    all.push_back(std::make_unique<Timer>(timer));
  }
  if (options.enable_checkpointing && !dev_run && !has<ModelCheckpoint>(all)) {
    all.push_back(std::make_unique<ModelCheckpoint>(ModelCheckpointOptions{}));
  }
  return all;
}

}  // namespace polyphony::callbacks
