#pragma once

#include <functional>
#include <memory>

#include <polyphony/pipeline/entry.h>
#include <polyphony/train/strategy.h>
#include <polyphony/train/trainer_options.h>

namespace polyphony::pipeline {

/// A process's part of a run. The request names the directory that rank 0 has made, in the Hydra
/// node too; a configuration that was resolved for another one has to be resolved again.
using RankWork = std::function<void(const Request&, std::unique_ptr<train::Strategy>)>;

/// Does the work in as many processes as the options ask for: starts them, or is one of those that
/// others started. From now until a process ends, stop signals (base/signals.h) ask it to save and
/// end. If Slurm's warning stopped it and POLYPHONY_REQUEUE=1 asks for it, the first process puts
/// the job back into the queue.
void in_processes(const Request& request, const train::TrainerOptions& trainer, int num_threads,
                  const RankWork& work);

/// Before training: what precedes may have taken long, such as a download. Every process calls it.
/// @throws Interrupted if one of them was asked to stop; there is nothing to save yet
void stop_if_asked(dist::Collective& collective);

}  // namespace polyphony::pipeline
