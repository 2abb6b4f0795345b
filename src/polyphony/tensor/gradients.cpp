#include <polyphony/tensor/gradients.h>

#include <ATen/ops/mul.h>

namespace polyphony::tensor {

void backward(const at::Tensor& loss, double scale) {
  if (scale == 1.0) {
    loss.backward();
  } else {
    at::mul(loss, scale).backward();
  }
}

}  // namespace polyphony::tensor
