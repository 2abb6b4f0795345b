#pragma once

#include <string>
#include <vector>

#include <polyphony/job/app.h>
#include <polyphony/job/log.h>
#include <polyphony/job/settings.h>

namespace polyphony::job {

/// Runs every job of a sweep: one after another, or hydra.launcher.n_jobs side by side in processes
/// of their own. A job that fails does not keep the others from running; what failed, and why, is
/// printed at the end. A stop signal (base/signals.h) stops the running jobs,
/// and the rest are not run.
/// @return 0, the exit code of the first failure, or 130 and 143 where a signal stopped it
/// @throws ComposeError where the sweep or one of a batch's jobs cannot be composed
int run_sweep(const App& app, Source& source, const std::vector<std::string>& overrides, Log& log);

}  // namespace polyphony::job
