#include <polyphony/train/loops/resume_ranks.h>

#include <algorithm>

#include <ATen/ops/div.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <polyphony/base/notice.h>
#include <polyphony/base/rng.h>
#include <polyphony/tensor/seed.h>

namespace polyphony::train {
namespace {

using tensor::Value;

/// Gradients of batches whose step is still to come.
Value pending_gradients(TrainerState& state) {
  Value gradients = Value::dict();
  if (state.progress.batch % state.accumulate_grad_batches == 0) return gradients;
  for (const auto& [name, parameter] : state.task->parameters()) {
    if (parameter.grad().defined()) gradients.set(name, Value(parameter.grad()));
  }
  return gradients;
}

/// Their mean over the processes that there were: from there each adds its own batches.
void restore_gradients(TrainerState& state, const std::vector<const Value*>& ranks) {
  for (const auto& [name, parameter] : state.task->parameters()) {
    at::Tensor mean;
    for (const Value* rank : ranks) {
      const Value* saved = rank->at("gradients").find(name);
      if (saved == nullptr) continue;
      mean = mean.defined() ? mean.add_(saved->as_tensor()) : saved->as_tensor().clone();
    }
    if (!mean.defined()) continue;
    if (ranks.size() > 1) mean.div_(static_cast<double>(ranks.size()));
    at::Tensor(parameter).mutable_grad() = mean;
  }
}

/// A rank's counts and those of the ranks that are no more.
void restore_counts(TrainerState& state, const std::vector<Value>& ranks, std::size_t rank,
                    std::size_t world) {
  Task& task = *state.task;
  MetricLog& log = state.metrics;
  task.load_metric_state(ranks[rank].at("metrics"));
  log.load_state(ranks[rank].at("log"));
  bool whole = true;
  for (std::size_t other = rank + world; other < ranks.size(); other += world) {
    if (ranks[other].kind() == Value::Kind::kNone) continue;
    whole = task.merge_metric_state(ranks[other].at("metrics")) && whole;
    log.merge_state(ranks[other].at("log"));
  }
  if (!whole) {
    warn(
        "this epoch's training metrics leave out what {} processes have counted: the task has no "
        "merge_metric_state",
        ranks.size() - world);
  }
}

/// Optimizer steps that are left of the running epoch.
std::int64_t steps_left_of_epoch(const TrainerState& state) {
  const FitProgress& progress = state.progress;
  const std::int64_t group = state.accumulate_grad_batches;
  const std::int64_t batches = state.num_training_batches;
  if (progress.point == Point::kEpochStart || progress.batch >= batches) return 0;
  return (batches + group - 1) / group - progress.batch / group;
}

/// Steps of the whole fit, from those that are done; nullopt if nothing limits them.
std::optional<std::int64_t> steps_from_here(const TrainerState& state) {
  const FitProgress& progress = state.progress;
  const std::int64_t limit = state.options.max_steps;
  const std::int64_t epochs = state.trainer.max_epochs();
  if (epochs == -1) return limit == -1 ? std::nullopt : std::optional(limit);
  const std::int64_t group = state.accumulate_grad_batches;
  const std::int64_t begun = progress.epoch + (progress.point == Point::kEpochStart ? 0 : 1);
  const std::int64_t later = std::max<std::int64_t>(0, epochs - begun) *
                             ((state.batches_of_whole_epochs + group - 1) / group);
  const std::int64_t all = progress.global_step + steps_left_of_epoch(state) + later;
  return limit == -1 ? all : std::min(limit, all);
}

Value value_of(const std::optional<std::int64_t>& number) {
  return number ? Value(*number) : Value();
}

std::optional<std::int64_t> number_at(const Value& value) {
  if (value.kind() == Value::Kind::kNone) return std::nullopt;
  return value.as_int();
}

std::string processes(std::int64_t count) {
  return fmt::format("{} process{}", count, count == 1 ? "" : "es");
}

}  // namespace

Value own_state(TrainerState& state) {
  Value own = Value::dict();
  own.set("rng", Value(tensor::generator_state()));
  own.set("metrics", state.task->metric_state());
  own.set("log", state.metrics.state());
  own.set("gradients", pending_gradients(state));
  return own;
}

at::Tensor restore_own_state(TrainerState& state, const std::vector<Value>& ranks) {
  const auto rank = static_cast<std::size_t>(state.collective().rank());
  const auto world = static_cast<std::size_t>(state.collective().world_size());
  std::vector<const Value*> with_gradients;
  for (const Value& other : ranks) {
    const bool mine = ranks.size() != world || &other == &ranks[rank];
    if (mine && other.kind() != Value::Kind::kNone) with_gradients.push_back(&other);
  }
  restore_gradients(state, with_gradients);
  if (rank < ranks.size() && ranks[rank].kind() != Value::Kind::kNone) {
    restore_counts(state, ranks, rank, world);
    return ranks[rank].at("rng").as_tensor();
  }
  // A new process, or one that could not be asked when an error ended the run, has counted nothing,
  // and takes part in what all decide together.
  state.metrics.load_state(ranks[0].at("log"));
  state.metrics.forget_counts();
  // The generator's seed is that of (seed, rank).
  tensor::seed_everything(
      derive_seed(tensor::current_seed(), static_cast<std::uint64_t>(state.progress.epoch) + 1));
  return tensor::generator_state();
}

Dealing dealing_of(const TrainerState& state) {
  const data::EpochOrder& order = state.order_of_epochs;
  return {order.world, order.batch_size, state.options.accumulate_grad_batches, state.total_steps,
          state.trainer.estimated_stepping_batches()};
}

Value value_of(const Dealing& dealing) {
  Value value = Value::dict();
  value.set("world", Value(dealing.world));
  value.set("batch_size", Value(dealing.batch_size));
  value.set("accumulate_grad_batches", Value(dealing.accumulate));
  value.set("total_steps", value_of(dealing.total_steps));
  value.set("total_steps_alike", value_of(dealing.alike));
  return value;
}

Dealing dealing_at(const Value& value) {
  return {value.at("world").as_int(), value.at("batch_size").as_int(),
          value.at("accumulate_grad_batches").as_int(), number_at(value.at("total_steps")),
          number_at(value.at("total_steps_alike"))};
}

Value value_of(const data::EpochPlace& place) {
  Value value = Value::dict();
  value.set("seed", Value(static_cast<std::int64_t>(place.order.seed)));
  value.set("shuffle", Value(place.order.shuffle));
  value.set("batch_size", Value(place.order.batch_size));
  value.set("length_buckets", Value(place.order.length_buckets));
  value.set("world", Value(place.order.world));
  value.set("rows", Value(place.rows));
  value.set("end", Value(place.end));
  value.set("taken", Value(place.taken));
  value.set("dealt", Value(place.dealt));
  return value;
}

data::EpochPlace place_at(const Value& value) {
  data::EpochPlace place;
  place.order.seed = static_cast<std::uint64_t>(value.at("seed").as_int());
  place.order.shuffle = value.at("shuffle").as_bool();
  place.order.batch_size = value.at("batch_size").as_int();
  place.order.length_buckets = value.at("length_buckets").as_int();
  place.order.world = value.at("world").as_int();
  place.rows = value.at("rows").as_int();
  place.end = value.at("end").as_int();
  place.taken = value.at("taken").as_int();
  place.dealt = value.at("dealt").as_int();
  return place;
}

std::vector<std::string> resume_epoch(TrainerState& state, const Dealing& before,
                                      const std::optional<data::EpochPlace>& place) {
  std::vector<std::string> lines;
  data::Loader& loader = *state.train_loader;
  const FitProgress& progress = state.progress;
  const Dealing now = dealing_of(state);
  if (now.world != before.world) {
    lines.push_back(fmt::format("{} instead of {}: {} rows a step instead of {}",
                                processes(now.world), before.world,
                                now.world * now.batch_size * now.accumulate,
                                before.world * before.batch_size * before.accumulate));
  }
  const bool in_order = place && place->dealt == 0 && place->order == loader.order();
  if (place && !in_order) {
    const std::int64_t left = loader.resume(progress.epoch, progress.batch, *place);
    state.num_training_batches = progress.batch + left;
    if (left > 0 && (now.world != before.world || now.batch_size != before.batch_size)) {
      lines.push_back(
          fmt::format("the interrupted epoch keeps its order: the rows that are left of it are "
                      "dealt to {}, each once, in {} batches",
                      processes(now.world), left));
    }
  }
  const bool as_before = now.world == before.world && now.batch_size == before.batch_size &&
                         now.accumulate == before.accumulate && now.alike == before.alike;
  state.total_steps = as_before ? before.total_steps : steps_from_here(state);
  return lines;
}

}  // namespace polyphony::train
