#pragma once

#include <polyphony/config/yaml/node.h>

namespace polyphony::pipeline {

/// What the original gives `log_hyperparams`: the task's and the model's options side by side,
/// batch_size, epoch, seed, the trainer's options, the dataset's without its files and split; and,
/// since they are sections of their own here, `optimizer` and `schedule`.
config::Node logged_hyper_parameters(const config::Node& config);

}  // namespace polyphony::pipeline
