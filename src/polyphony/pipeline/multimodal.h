#pragma once

#include <polyphony/pipeline/entry.h>

namespace polyphony::pipeline {

/// `polyphony multimodal`: the original's fusion experiment from its own configuration tree,
/// today's or that of January 2024, with its file names: checkpoints where
/// callbacks.model_checkpoint says, CONNECTED_DIR/logits/LOGIT_NAME.npy and
/// CONNECTED_DIR/submissions/SUBMISSION_NAME.csv. `mode` is train, test or predict; without one
/// (January) a tree with `ckpt_path` tests.
/// @throws Error; the run is recorded as failed or interrupted before the error leaves
void run_multimodal(const Request& request);

}  // namespace polyphony::pipeline
