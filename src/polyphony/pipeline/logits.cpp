#include <polyphony/pipeline/logits.h>

#include <ATen/core/Tensor.h>

#include <polyphony/base/npy.h>

namespace polyphony::pipeline {

void save_logits(const std::filesystem::path& path, const at::Tensor& logits) {
  const at::Tensor plain = logits.contiguous();
  NpyArray array;
  array.shape = plain.sizes().vec();
  array.values.assign(plain.data_ptr<float>(), plain.data_ptr<float>() + plain.numel());
  save_npy(path, array);
}

}  // namespace polyphony::pipeline
