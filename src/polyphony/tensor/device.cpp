#include <polyphony/tensor/device.h>

#include <ATen/Context.h>

#include <polyphony/base/error.h>

namespace polyphony::tensor {

at::Device device_for(Accelerator accelerator, int /*local_rank*/) {
  if (accelerator != Accelerator::kGpu) return at::kCPU;
  throw ConfigError(at::globalContext().hasCUDA()
                        ? "trainer.accelerator: gpu is not supported yet"
                        : "trainer.accelerator: gpu, but this LibTorch was built without CUDA",
                    "write trainer.accelerator=cpu, or build against a CUDA LibTorch");
}

}  // namespace polyphony::tensor
