#pragma once

#include <polyphony/pipeline/entry.h>

namespace polyphony::pipeline {

/// Soft voting of saved logits, recorded as a run; prints the metrics where labels are known.
///
/// Reads `votings` {NAME: WEIGHT} (weights sum to 1), `connected_dir` (NAME.npy is in its logits/),
/// `submission_file`, `target_column_name`, `voted_logit`, `voted_file`, and beside those of the
/// original: `vote_on` (logits, probabilities), `logits` {NAME: PATH} for other places, and
/// `search` {validation_file, logits {NAME: PATH}, step} which finds the weights on validation
/// rows.
/// @throws ConfigError, DataError
void vote(const Request& request);

}  // namespace polyphony::pipeline
