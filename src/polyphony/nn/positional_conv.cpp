#include <polyphony/nn/positional_conv.h>

#include <torch/types.h>

#include <polyphony/nn/grouped_conv.h>

namespace polyphony::nn {

PositionalConv::PositionalConv(const PositionalConvOptions& options) : options_(options) {
  torch::nn::Module& conv = submodule(*this, "conv");
  const std::int64_t dims = options.dims;
  bias_ = conv.register_parameter("bias", torch::empty({dims}));
  weight_g_ = conv.register_parameter("weight_g", torch::empty({1, 1, options.kernel}));
  weight_v_ = conv.register_parameter("weight_v",
                                      torch::empty({dims, dims / options.groups, options.kernel}));
}

at::Tensor PositionalConv::forward(const at::Tensor& x) const {
  return activate(convolve(x), options_.activation);
}

at::Tensor PositionalConv::convolve(const at::Tensor& x) const {
  if (x.scalar_type() != at::kDouble) return grouped_conv(x, {weight_v_, weight_g_}, bias_);
  const at::Tensor y = at::conv1d(x.transpose(1, 2), at::_weight_norm(weight_v_, weight_g_, 2),
                                  bias_, 1, options_.kernel / 2, 1, options_.groups);
  return y.narrow(2, 0, x.size(1)).transpose(1, 2);  // an even kernel gives one frame too many
}

}  // namespace polyphony::nn
