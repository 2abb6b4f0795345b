#pragma once

#include <c10/core/Device.h>

namespace polyphony::tensor {

/// What to compute on: Lightning's `accelerator`.
enum class Accelerator { kAuto, kCpu, kGpu };

/// The device of one process: all that moves a task, its batches or their random generators asks
/// here. It starts no driver, which a process that is still to fork must not.
/// @param local_rank  the process's place among those of its host
/// @throws ConfigError naming what is missing if there is no such device
at::Device device_for(Accelerator accelerator, int local_rank);

}  // namespace polyphony::tensor
