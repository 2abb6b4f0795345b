#include <polyphony/optim/adamw_hf.h>

#include <cmath>

#include <polyphony/config/bind/registry.h>

namespace polyphony::optim {
namespace {

/// One step's constants, in the precision of the weights.
struct Step {
  float gradient_scale;
  float beta1;
  float beta2;
  float share1;  ///< 1 - beta1
  float share2;  ///< 1 - beta2
  float rate;    ///< lr, corrected for both moments
  float eps;
  float keep;  ///< what is left of a weight after decay
};

void update(const Step& s, float* __restrict weight, const float* __restrict gradient,
            float* __restrict first, float* __restrict second, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) {
    const float g = gradient[i] * s.gradient_scale;
    const float m = s.beta1 * first[i] + s.share1 * g;
    const float v = s.beta2 * second[i] + s.share2 * g * g;
    first[i] = m;
    second[i] = v;
    weight[i] = (weight[i] - s.rate * m / (__builtin_sqrtf(v) + s.eps)) * s.keep;
  }
}

}  // namespace

void AdamWHFOptions::describe(config::Fields& f) {
  f("lr", lr, "learning rate");
  f.check("lr", lr >= 0, "at least 0");
  f("betas", betas, "decay of the running mean and of the running square");
  f.check("betas",
          betas.size() == 2 && betas[0] >= 0 && betas[0] < 1 && betas[1] >= 0 && betas[1] < 1,
          "two numbers in [0, 1)");
  f("eps", eps, "added to the denominator, before the correction of the second moment");
  f.check("eps", eps >= 0, "at least 0");
  f("weight_decay", weight_decay, "share of each weight taken away per unit of learning rate");
  f.check("weight_decay", weight_decay >= 0, "at least 0");
  f("correct_bias", correct_bias, "correct the moments for their start at zero");
}

Optimizer::Kernel AdamWHF::kernel(const ParamGroup& group, std::int64_t step,
                                  double gradient_scale) const {
  const auto count = static_cast<double>(step);
  double rate = group.lr;
  if (options_.correct_bias) {
    rate *= std::sqrt(1.0 - std::pow(options_.betas[1], count)) /
            (1.0 - std::pow(options_.betas[0], count));
  }
  Step s{};
  s.gradient_scale = static_cast<float>(gradient_scale);
  s.beta1 = static_cast<float>(options_.betas[0]);
  s.beta2 = static_cast<float>(options_.betas[1]);
  s.share1 = static_cast<float>(1.0 - options_.betas[0]);
  s.share2 = static_cast<float>(1.0 - options_.betas[1]);
  s.rate = static_cast<float>(rate);
  s.eps = static_cast<float>(options_.eps);
  s.keep = static_cast<float>(1.0 - group.lr * group.weight_decay);
  return
      [s](const Chunk& c) { update(s, c.parameter, c.gradient, c.state[0], c.state[1], c.size); };
}

void AdamWHF::describe_group(tensor::Value& group) const {
  using tensor::Value;
  Value betas = Value::tuple();
  for (const double beta : options_.betas) betas.append(Value(beta));
  group.set("betas", std::move(betas));
  group.set("eps", Value(options_.eps));
  group.set("correct_bias", Value(options_.correct_bias));
}

POLYPHONY_REGISTER(Optimizer, AdamWHF, "polyphony.optim.AdamWHF", "transformers.AdamW")

}  // namespace polyphony::optim
