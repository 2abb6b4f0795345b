#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <polyphony/config/yaml/node.h>
#include <polyphony/tensor/value.h>
#include <polyphony/train/trainer_options.h>

namespace polyphony::pipeline {

/// What ended a fit, as the options that let it go on.
struct FitEnd {
  bool limit_reached = false;       ///< epochs, steps or time: the fit would stop at once
  std::vector<std::string> advice;  ///< overrides that go together; empty where nothing is known
};

/// Where a fit stood, as its last checkpoint says.
struct FitState {
  std::int64_t epochs = 0;  ///< whole ones
  std::int64_t steps = 0;
  tensor::Value callbacks;  ///< their states, by state_key
};

/// @param config  resolved: what is not in it is added with +
/// @param unimodal  whether training_arguments limit the fit instead of the trainer
FitEnd fit_end(const FitState& state, const config::Node& config,
               const train::TrainerOptions& limits, bool unimodal);

}  // namespace polyphony::pipeline
