#include <polyphony/train/precision.h>

#include <ATen/autocast_mode.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/autocast.h>

namespace polyphony::train {

Autocast::Autocast(Precision precision) : on_(precision != Precision::k32) {
  if (!on_) return;
  tensor::enable_autocast(true);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!on_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  tensor::enable_autocast(false);
}

void check_precision(Precision precision) {
  if (precision != Precision::k16) return;
  throw ConfigError("trainer.precision: 16 needs a GPU; this one computes on the CPU",
                    "write trainer.precision=bf16 or trainer.precision=32");
}

}  // namespace polyphony::train
