#pragma once

namespace polyphony::tensor {

/// Whether operators compute in bfloat16 where it is safe (torch.autocast on the CPU). LibTorch's
/// versions say it in different calls: autocast_v1.cpp serves 1.13, autocast_v2.cpp 2.x.
bool autocast_enabled();
/// Switches it, with bfloat16 as the lower type.
void enable_autocast(bool on);

}  // namespace polyphony::tensor
