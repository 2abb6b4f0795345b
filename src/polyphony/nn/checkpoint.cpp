#include <polyphony/nn/checkpoint.h>

#include <torch/autograd.h>
#include <torch/types.h>

#include <polyphony/tensor/seed.h>

namespace polyphony::nn {
namespace {

using Segment = std::function<at::Tensor(const at::Tensor&)>;

class Checkpoint : public torch::autograd::Function<Checkpoint> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const Segment& segment) {
    context->save_for_backward({x});
    context->saved_data["random"] = tensor::generator_state();
    context->saved_data["segment"] = at::IValue::make_capsule(c10::make_intrusive<Holder>(segment));
    const at::NoGradGuard no_grad;
    return segment(x);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto holder =
        c10::static_intrusive_pointer_cast<Holder>(context->saved_data["segment"].toCapsule());
    const at::Tensor now = tensor::generator_state();
    tensor::set_generator_state(context->saved_data["random"].toTensor());
    at::Tensor x = context->get_saved_variables()[0].detach();
    x.set_requires_grad(true);
    at::Tensor y;
    {
      const at::AutoGradMode grad(true);
      y = holder->segment(x);
    }
    tensor::set_generator_state(now);
    torch::autograd::backward({y}, {gradients[0]});
    return {x.grad(), at::Tensor()};
  }

 private:
  struct Holder : torch::CustomClassHolder {
    explicit Holder(Segment held) : segment(std::move(held)) {}
    Segment segment;
  };
};

}  // namespace

at::Tensor checkpoint(const Segment& segment, const at::Tensor& x) {
  if (!at::GradMode::is_enabled()) return segment(x);
  // Backward reaches the segment's parameters through its input alone.
  const at::Tensor input = x.requires_grad() ? x : x.detach().set_requires_grad(true);
  return Checkpoint::apply(input, segment);
}

}  // namespace polyphony::nn
