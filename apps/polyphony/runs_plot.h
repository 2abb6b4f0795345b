#pragma once

#include "runs_selection.h"

namespace polyphony::app {

/// `runs plot METRIC [ID...]`: curves in the terminal.
void add_runs_plot(CLI::App& runs, const Selection& selection);

}  // namespace polyphony::app
