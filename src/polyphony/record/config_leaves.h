#pragma once

#include <vector>

#include <polyphony/config/yaml/node.h>
#include <polyphony/record/run.h>

namespace polyphony::record {

/// Every leaf under its dotted path ("trainer.max_epochs", "metrics.0._target_"), in the order
/// written; empty mappings and lists are leaves.
std::vector<ConfigValue> config_leaves(const config::Node& config);

}  // namespace polyphony::record
