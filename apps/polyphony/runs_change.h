#pragma once

#include "runs_selection.h"

namespace polyphony::app {

/// `runs tag` and `runs delete`.
void add_runs_changes(CLI::App& runs, const Selection& selection);

}  // namespace polyphony::app
