#include <polyphony/nn/layers.h>

#include <torch/autograd.h>
#include <torch/types.h>

#include <polyphony/nn/bfloat16.h>
#include <polyphony/nn/product.h>

namespace polyphony::nn {
namespace {

/// LibTorch 1.13.1 leaves the gradient of GELU uninitialised if the incoming one is not
/// contiguous and the input is.
class Gelu : public torch::autograd::Function<Gelu> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({x});
    return at::gelu(x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const at::Tensor x = context->get_saved_variables()[0].contiguous();
    return {at::gelu_backward(gradients[0].contiguous(), x)};
  }
};

}  // namespace

at::Tensor activate(const at::Tensor& x, Activation activation) {
  // LibTorch leaves GELU to oneDNN.
  const bool gelu = activation == Activation::kGelu || activation == Activation::kGeluTanh;
  if (gelu && x.scalar_type() == at::kBFloat16 && !onednn_has_bfloat16()) {
    return activate(x.to(at::kFloat), activation).to(at::kBFloat16);
  }
  switch (activation) {
    case Activation::kGelu:
      return Gelu::apply(x);
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kRelu:
      return at::relu(x);
    case Activation::kSilu:
      return at::silu(x);
    case Activation::kTanh:
      return at::tanh(x);
  }
  TORCH_INTERNAL_ASSERT(false, "an activation without its function");
}

Linear::Linear(std::int64_t inputs, std::int64_t outputs) {
  weight = register_parameter("weight", torch::empty({outputs, inputs}));
  bias = register_parameter("bias", torch::empty({outputs}));
}

at::Tensor Linear::forward(const at::Tensor& x) const {
  if (x.scalar_type() == at::kDouble) return at::linear(x, weight, bias);
  std::vector<std::int64_t> sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  return linear(x.reshape({-1, weight.size(1)}), weight, bias).view(sizes);
}

LayerNorm::LayerNorm(std::int64_t dims, double eps) : eps_(eps) {
  weight = register_parameter("weight", torch::ones({dims}));
  bias = register_parameter("bias", torch::zeros({dims}));
}

at::Tensor LayerNorm::forward(const at::Tensor& x) const {
  return at::layer_norm(x, weight.sizes(), weight, bias, eps_);
}

GroupNorm::GroupNorm(std::int64_t channels) {
  weight = register_parameter("weight", torch::ones({channels}));
  bias = register_parameter("bias", torch::zeros({channels}));
}

Embedding::Embedding(std::int64_t rows, std::int64_t dims, std::int64_t padding_index)
    : padding_index_(padding_index) {
  weight = register_parameter("weight", torch::empty({rows, dims}));
}

at::Tensor Embedding::forward(const at::Tensor& ids) const {
  return at::embedding(weight, ids, padding_index_);
}

torch::nn::Module& submodule(torch::nn::Module& root, const std::string& path) {
  torch::nn::Module* module = &root;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    const auto children = module->named_children();
    module = children.contains(name)
                 ? children[name].get()
                 : module->register_module(name, std::make_shared<torch::nn::Module>("Part")).get();
    begin = end + 1;
  }
  return *module;
}

}  // namespace polyphony::nn
