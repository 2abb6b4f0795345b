#include <polyphony/tensor/autocast.h>

#include <ATen/autocast_mode.h>

namespace polyphony::tensor {

bool autocast_enabled() { return at::autocast::is_autocast_enabled(at::kCPU); }

void enable_autocast(bool on) {
  if (on) at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  at::autocast::set_autocast_enabled(at::kCPU, on);
}

}  // namespace polyphony::tensor
