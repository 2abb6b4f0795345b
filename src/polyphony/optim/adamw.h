#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/config/fields.h>

namespace polyphony::optim {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Moves parameters along their gradients.
class Optimizer {
 public:
  static constexpr const char* kKind = "Optimizer";
  virtual ~Optimizer() = default;

  /// Takes the parameters, float32 and contiguous, with their names. Called once.
  virtual void attach(NamedTensors parameters) = 0;
  virtual void step(double lr) = 0;
  virtual double base_lr() const = 0;
  /// Everything that a resumed run needs.
  virtual NamedTensors state() const = 0;
  /// @throws DataError where names or shapes differ from the attached parameters
  virtual void load_state(const NamedTensors& state) = 0;

  /// Zeroes gradients in place.
  void zero_grad();
  /// Scales all gradients so that their common norm is at most max_norm. @returns the norm before
  double clip_grad_norm(double max_norm);

 protected:
  NamedTensors parameters_;
};

struct AdamWOptions {
  double lr = 1e-3;
  double weight_decay = 1e-2;
  std::vector<double> betas = {0.9, 0.999};
  double eps = 1e-8;

  void describe(config::Fields& f);
};

/// torch.optim.AdamW (Loshchilov and Hutter, 2019): decay apart from the gradient; one fused pass a
/// parameter. Parameters without a gradient are left alone.
class AdamW : public Optimizer {
 public:
  using Options = AdamWOptions;
  explicit AdamW(Options options) : options_(std::move(options)) {}

  void attach(NamedTensors parameters) override;
  void step(double lr) override;
  double base_lr() const override { return options_.lr; }
  NamedTensors state() const override;
  void load_state(const NamedTensors& state) override;

 private:
  Options options_;
  std::vector<at::Tensor> first_;   // exp_avg
  std::vector<at::Tensor> second_;  // exp_avg_sq
  std::int64_t steps_ = 0;
};

}  // namespace polyphony::optim
