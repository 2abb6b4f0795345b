#include <polyphony/train/loops/trainer_state.h>

#include <algorithm>

#include <polyphony/train/loops/last_step.h>
#include <polyphony/train/make_strategy.h>

namespace polyphony::train {
namespace {

/// Whether a callback limits the time, so that nothing else has to.
bool has_timer(const TrainerParts& parts) {
  return std::any_of(parts.callbacks.begin(), parts.callbacks.end(),
                     [](const auto& callback) { return callback->name() == "Timer"; });
}

TrainerParts settled(TrainerParts parts, const TrainerOptions& options) {
  if (!parts.strategy) parts.strategy = make_strategy(options);
  // As Lightning: fast_dev_run writes nothing.
  const bool logs =
      parts.strategy->collective().is_global_zero() && options.fast_dev_run.count == 0;
  if (!logs) parts.loggers.clear();
  return parts;
}

}  // namespace

TrainerState::TrainerState(Trainer& shown, TrainerOptions given, std::filesystem::path directory,
                           TrainerParts made_of)
    : trainer(shown),
      options(settled(std::move(given), has_timer(made_of))),
      root(options.default_root_dir ? std::filesystem::path(*options.default_root_dir)
                                    : std::move(directory)),
      parts(settled(std::move(made_of), options)),
      metrics(parts.loggers, collective()),
      profiler(options.profiler, root) {
  for (const auto& callback : parts.callbacks) callbacks.push_back(callback.get());
  std::stable_partition(callbacks.begin(), callbacks.end(),
                        [](const Callback* callback) { return !callback->saves_checkpoints(); });
}

TrainerState::~TrainerState() = default;

void TrainerState::add_loss(double loss) {
  constexpr std::size_t kNewest = 20;
  newest_loss = loss;
  if (losses.size() < kNewest) {
    losses.push_back(loss);
  } else {
    losses[next_loss++ % kNewest] = loss;
  }
}

}  // namespace polyphony::train
