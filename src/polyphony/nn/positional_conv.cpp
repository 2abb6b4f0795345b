#include <polyphony/nn/positional_conv.h>

#include <torch/nn.h>

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
  const at::Tensor weight = at::_weight_norm(weight_v_, weight_g_, 2);
  at::Tensor y =
      at::conv1d(x.transpose(1, 2), weight, bias_, 1, options_.kernel / 2, 1, options_.groups);
  y = y.narrow(2, 0, x.size(1));  // an even kernel gives one frame too many
  return activate(y, options_.activation).transpose(1, 2);
}

}  // namespace polyphony::nn
