#pragma once

#include <polyphony/optim/optimizer.h>

namespace polyphony::optim {

struct SgdOptions {
  double lr = 1e-2;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool maximize = false;

  void describe(config::Fields& f);
};

/// torch.optim.SGD: momentum's first value is the gradient itself.
class Sgd : public Optimizer {
 public:
  using Options = SgdOptions;
  explicit Sgd(Options options) : options_(options) {}
  std::string name() const override { return "SGD"; }
  double momentum() const override { return options_.momentum; }

 protected:
  double lr() const override { return options_.lr; }
  double weight_decay() const override { return options_.weight_decay; }
  std::vector<std::string> state_names() const override {
    return options_.momentum > 0 ? std::vector<std::string>{"momentum_buffer"}
                                 : std::vector<std::string>{};
  }
  Kernel kernel(const ParamGroup& group, std::int64_t step, double gradient_scale) const override;
  void describe_group(tensor::Value& group) const override;
  bool counts_steps() const override { return false; }

 private:
  Options options_;
};

}  // namespace polyphony::optim
