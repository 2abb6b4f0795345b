#pragma once

#include <polyphony/pipeline/entry.h>

namespace polyphony::pipeline {

/// `polyphony unimodal`: fine-tunes a pretrained encoder of one modality as the original does with
/// Transformers' Trainer, from its own configuration tree, today's or that of January 2024: trains
/// by `training_arguments`, evaluates, and writes the logits of the test rows where
/// `save_predictions` says (today a folder, for MODE.npy; in January a file).
/// @throws Error; the run is recorded as failed or interrupted before the error leaves
void run_unimodal(const Request& request);

}  // namespace polyphony::pipeline
