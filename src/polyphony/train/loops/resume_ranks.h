#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/data/epoch_rest.h>
#include <polyphony/tensor/value.h>
#include <polyphony/train/loops/trainer_state.h>

namespace polyphony::train {

/// What the processes of a fit each keep of their own in a checkpoint, and how it is shared out
/// among the processes, as many or not, that go on from it.

/// What this process alone knows: random stream, accumulators, gradients of a step to come.
tensor::Value own_state(TrainerState& state);
/// Gives this process its part. As many processes as before: each its own. Fewer: what those that
/// are no more have counted is added to that of others. More: the new ones begin with empty counts
/// and a random stream from (seed, rank, epoch). Gradients of a step that is not complete are the
/// mean over all that were.
/// @param ranks  own_state of each process that there was, by rank
/// @return the state that the random generator is to be put in
at::Tensor restore_own_state(TrainerState& state, const std::vector<tensor::Value>& ranks);

/// How rows were dealt to processes, and the optimizer steps that were planned by it.
struct Dealing {
  std::int64_t world = 1;
  std::int64_t batch_size = 1;
  std::int64_t accumulate = 1;
  std::optional<std::int64_t> total_steps;  ///< as the schedule knew them
  std::optional<std::int64_t> alike;        ///< those of a fit whose epochs are all dealt so

  bool operator==(const Dealing&) const = default;
};
Dealing dealing_of(const TrainerState& state);
tensor::Value value_of(const Dealing& dealing);
Dealing dealing_at(const tensor::Value& value);
tensor::Value value_of(const data::EpochPlace& place);
data::EpochPlace place_at(const tensor::Value& value);

/// Deals the rest of the interrupted epoch out if it was begun by other processes, or with other
/// options, and plans the steps of the whole fit anew. The progress is restored already.
/// @param place  of the interrupted epoch; nullopt between epochs
/// @return what has changed, a line each; empty if nothing has
std::vector<std::string> resume_epoch(TrainerState& state, const Dealing& before,
                                      const std::optional<data::EpochPlace>& place);

}  // namespace polyphony::train
