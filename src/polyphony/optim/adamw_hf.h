#pragma once

#include <polyphony/optim/optimizer.h>

namespace polyphony::optim {

struct AdamWHFOptions {
  double lr = 1e-3;
  std::vector<double> betas = {0.9, 0.999};
  double eps = 1e-6;
  double weight_decay = 0;
  bool correct_bias = true;

  void describe(config::Fields& f);
};

/// transformers.AdamW, which its Trainer takes by default (`optim: adamw_hf`). It differs from
/// torch.optim.AdamW in two places: eps is added before the correction of the second moment, and
/// decay is taken from the weight after the step.
class AdamWHF : public Optimizer {
 public:
  using Options = AdamWHFOptions;
  explicit AdamWHF(Options options) : options_(std::move(options)) {}
  std::string name() const override { return "AdamW"; }
  double momentum() const override { return options_.betas[0]; }

 protected:
  double lr() const override { return options_.lr; }
  double weight_decay() const override { return options_.weight_decay; }
  std::vector<std::string> state_names() const override { return {"exp_avg", "exp_avg_sq"}; }
  Kernel kernel(const ParamGroup& group, std::int64_t step, double gradient_scale) const override;
  void describe_group(tensor::Value& group) const override;

 private:
  Options options_;
};

}  // namespace polyphony::optim
