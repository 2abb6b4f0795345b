#pragma once

#include "runs_selection.h"

namespace polyphony::app {

/// `runs import PATH...`: records of other programs, and what could not be recorded, into the run
/// store.
void add_runs_import(CLI::App& runs, const Selection& selection);

}  // namespace polyphony::app
