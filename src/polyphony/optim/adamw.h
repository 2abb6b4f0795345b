#pragma once

#include <polyphony/optim/optimizer.h>

namespace polyphony::optim {

struct AdamOptions {
  double lr = 1e-3;
  std::vector<double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
  bool maximize = false;

  void describe(config::Fields& f);
};

/// torch.optim.Adam (Kingma and Ba, 2015): decay is part of the gradient. One fused pass over all
/// parameters. With amsgrad (Reddi et al., 2018) the running square never sinks.
class Adam : public Optimizer {
 public:
  using Options = AdamOptions;
  explicit Adam(Options options) : options_(std::move(options)) {}
  std::string name() const override { return "Adam"; }
  double momentum() const override { return options_.betas[0]; }

 protected:
  double lr() const override { return options_.lr; }
  double weight_decay() const override { return options_.weight_decay; }
  std::vector<std::string> state_names() const override;
  Kernel kernel(const ParamGroup& group, std::int64_t step, double gradient_scale) const override;
  void describe_group(tensor::Value& group) const override;
  /// Whether decay is taken from the weights, apart from the gradient.
  virtual bool decoupled() const { return false; }

 private:
  Options options_;
};

struct AdamWOptions : AdamOptions {
  AdamWOptions() { weight_decay = 1e-2; }
};

/// torch.optim.AdamW (Loshchilov and Hutter, 2019): decay apart from the gradient.
class AdamW : public Adam {
 public:
  using Options = AdamWOptions;
  explicit AdamW(Options options) : Adam(std::move(options)) {}
  std::string name() const override { return "AdamW"; }

 protected:
  bool decoupled() const override { return true; }
};

}  // namespace polyphony::optim
