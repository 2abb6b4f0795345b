#pragma once

#include <memory>
#include <string>
#include <vector>

#include <polyphony/config/bind/registry.h>
#include <polyphony/data/dataset.h>

namespace polyphony::pipeline {

/// The parts of the original's configuration trees that its unimodal and multimodal experiments
/// share, of today's tree and of January 2024's, which has other names for some.
struct ReferenceData {
  config::Child<data::Dataset> dataset;
  config::Child<data::Dataset> dataset_module;  ///< January 2024
  config::Named<std::string> split;             ///< a stage's `split` of the dataset
  config::Named<std::string> data_path;         ///< January 2024: a stage's `data_path`

  void describe(config::Fields& f);
  /// Stages whose rows differ, by name: train, val, test, …
  std::vector<std::string> stages() const;
  /// The dataset's part of the configuration.
  const config::Node& section() const {
    return dataset.is_set() ? dataset.node : dataset_module.node;
  }
  /// The rows of a stage: train, val, test or predict.
  /// @throws ConfigError where the tree says neither of which split nor of which file they are
  std::unique_ptr<data::Dataset> rows(const std::string& stage) const;
};

/// Puts what this build has in the place of what the original's trees may ask for, with a note for
/// each: the processor for a GPU, bf16 for half precision (as Lightning does there), and ddp, which
/// computes the same, for DeepSpeed. @param trainer  the trainer's section; may be null
void for_this_build(config::Node* trainer);

}  // namespace polyphony::pipeline
