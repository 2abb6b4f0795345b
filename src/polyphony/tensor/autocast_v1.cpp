#include <polyphony/tensor/autocast.h>

#include <ATen/autocast_mode.h>

namespace polyphony::tensor {

bool autocast_enabled() { return at::autocast::is_cpu_enabled(); }

void enable_autocast(bool on) {
  if (on) at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
  at::autocast::set_cpu_enabled(on);
}

}  // namespace polyphony::tensor
