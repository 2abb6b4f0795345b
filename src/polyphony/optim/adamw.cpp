#include <polyphony/optim/adamw.h>

#include <cmath>

#include <polyphony/config/bind/registry.h>

namespace polyphony::optim {
namespace {

/// One step's constants, in the precision of the weights.
struct AdamStep {
  float gradient_scale;
  float coupled_decay;  ///< added to the gradient, times the weight
  float keep;           ///< what is left of a weight after decoupled decay
  float beta1;
  float beta2;
  float share1;  ///< 1 - beta1; rounded once, as torch does: 1 - 0.999F is 1.3e-5 off
  float share2;  ///< 1 - beta2
  float rate;    ///< lr / (1 - beta1^t)
  float root;    ///< sqrt(1 - beta2^t)
  float eps;
};

/// Compiled for what the processor has; which one is chosen when the program is loaded.
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) void update(
    const AdamStep& s, float* __restrict weight, const float* __restrict gradient,
    float* __restrict first, float* __restrict second, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) {
    const float g = gradient[i] * s.gradient_scale + s.coupled_decay * weight[i];
    const float m = s.beta1 * first[i] + s.share1 * g;
    const float v = s.beta2 * second[i] + s.share2 * g * g;
    first[i] = m;
    second[i] = v;
    weight[i] = weight[i] * s.keep - s.rate * m / (__builtin_sqrtf(v) / s.root + s.eps);
  }
}

/// The same with amsgrad: the root is that of the largest running square so far.
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) void update_amsgrad(
    const AdamStep& s, float* __restrict weight, const float* __restrict gradient,
    float* __restrict first, float* __restrict second, float* __restrict largest,
    std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) {
    const float g = gradient[i] * s.gradient_scale + s.coupled_decay * weight[i];
    const float m = s.beta1 * first[i] + s.share1 * g;
    const float v = s.beta2 * second[i] + s.share2 * g * g;
    const float top = largest[i] > v ? largest[i] : v;
    first[i] = m;
    second[i] = v;
    largest[i] = top;
    weight[i] = weight[i] * s.keep - s.rate * m / (__builtin_sqrtf(top) / s.root + s.eps);
  }
}

}  // namespace

void AdamOptions::describe(config::Fields& f) {
  f("lr", lr, "learning rate");
  f.check("lr", lr >= 0, "at least 0");
  f("betas", betas, "decay of the running mean and of the running square");
  f.check("betas",
          betas.size() == 2 && betas[0] >= 0 && betas[0] < 1 && betas[1] >= 0 && betas[1] < 1,
          "two numbers in [0, 1)");
  f("eps", eps, "added to the denominator");
  f.check("eps", eps >= 0, "at least 0");
  f("weight_decay", weight_decay, "share of each weight taken away per unit of learning rate");
  f.check("weight_decay", weight_decay >= 0, "at least 0");
  f("amsgrad", amsgrad, "divide by the largest running square so far");
  f("maximize", maximize, "go up the gradient");
}

std::vector<std::string> Adam::state_names() const {
  std::vector<std::string> names = {"exp_avg", "exp_avg_sq"};
  if (options_.amsgrad) names.emplace_back("max_exp_avg_sq");
  return names;
}

Optimizer::Kernel Adam::kernel(const ParamGroup& group, std::int64_t step,
                               double gradient_scale) const {
  const auto count = static_cast<double>(step);
  AdamStep s{};
  s.gradient_scale = static_cast<float>(options_.maximize ? -gradient_scale : gradient_scale);
  s.coupled_decay = decoupled() ? 0.0F : static_cast<float>(group.weight_decay);
  s.keep = decoupled() ? static_cast<float>(1.0 - group.lr * group.weight_decay) : 1.0F;
  s.beta1 = static_cast<float>(options_.betas[0]);
  s.beta2 = static_cast<float>(options_.betas[1]);
  s.share1 = static_cast<float>(1.0 - options_.betas[0]);
  s.share2 = static_cast<float>(1.0 - options_.betas[1]);
  s.rate = static_cast<float>(group.lr / (1.0 - std::pow(options_.betas[0], count)));
  s.root = static_cast<float>(std::sqrt(1.0 - std::pow(options_.betas[1], count)));
  s.eps = static_cast<float>(options_.eps);
  if (options_.amsgrad) {
    return [s](const Chunk& c) {
      update_amsgrad(s, c.parameter, c.gradient, c.state[0], c.state[1], c.state[2], c.size);
    };
  }
  return
      [s](const Chunk& c) { update(s, c.parameter, c.gradient, c.state[0], c.state[1], c.size); };
}

void Adam::describe_group(tensor::Value& group) const {
  using tensor::Value;
  Value betas = Value::tuple();
  for (const double beta : options_.betas) betas.append(Value(beta));
  group.set("betas", std::move(betas));
  group.set("eps", Value(options_.eps));
  group.set("amsgrad", Value(options_.amsgrad));
  group.set("foreach", Value());
  group.set("maximize", Value(options_.maximize));
  group.set("capturable", Value(false));
  if (!decoupled()) group.set("fused", Value(false));
}

POLYPHONY_REGISTER(Optimizer, Adam, "polyphony.optim.Adam", "torch.optim.Adam")
POLYPHONY_REGISTER(Optimizer, AdamW, "polyphony.optim.AdamW", "torch.optim.AdamW")

}  // namespace polyphony::optim
