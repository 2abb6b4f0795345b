#include <polyphony/nn/checkpoint.h>

#include <torch/autograd.h>
#include <torch/types.h>

#include <polyphony/nn/saved.h>
#include <polyphony/tensor/seed.h>

namespace polyphony::nn {
namespace {

using Segment = std::function<at::Tensor(const at::Tensor&)>;

class Checkpoint : public torch::autograd::Function<Checkpoint> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const Segment& segment) {
    context->save_for_backward({x});
    keep(context, std::make_pair(segment, tensor::generator_state()));
    const at::NoGradGuard no_grad;
    return segment(x);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto& [segment, random] = kept<std::pair<Segment, at::Tensor>>(context);
    const at::Tensor now = tensor::generator_state();
    tensor::set_generator_state(random);
    at::Tensor x = context->get_saved_variables()[0].detach();
    x.set_requires_grad(true);
    at::Tensor y;
    {
      const at::AutoGradMode grad(true);
      y = segment(x);
    }
    tensor::set_generator_state(now);
    torch::autograd::backward({y}, {gradients[0]});
    return {x.grad(), at::Tensor()};
  }
};

}  // namespace

at::Tensor checkpoint(const Segment& segment, const at::Tensor& x) {
  if (!at::GradMode::is_enabled()) return segment(x);
  // Backward reaches the segment's parameters through its input alone.
  const at::Tensor input = x.requires_grad() ? x : x.detach().set_requires_grad(true);
  return Checkpoint::apply(input, segment);
}

}  // namespace polyphony::nn
