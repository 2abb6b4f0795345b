#pragma once

#include <functional>

#include <polyphony/base/environment.h>
#include <polyphony/train/strategy.h>

namespace polyphony::pipeline {

/// Does a process's part of a run, which stop signals (base/signals.h) ask to save and end from now
/// until the process ends. Where Slurm's warning stopped it, the first process puts the job back
/// into the queue, if that was asked for (requeue).
/// @param rank  of this process among those of the run
void stoppable(int rank, const std::function<void()>& work);

/// Before training: what precedes may have taken long, such as a download. Every process calls it.
/// @throws Interrupted where one of them was asked to stop; there is nothing to save yet
void stop_if_asked(train::Strategy& strategy);

/// `scontrol requeue` of the Slurm job that this is, where POLYPHONY_REQUEUE=1 asks for it; says
/// what came of it.
void requeue(const Environment& environment);

}  // namespace polyphony::pipeline
