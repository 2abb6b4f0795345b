#include <polyphony/optim/adamw.h>

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/config/registry.h>

namespace polyphony::optim {
namespace {

constexpr std::int64_t kGrain = 1 << 15;  // elements a thread takes at a time

const at::Tensor& find(const NamedTensors& state, const std::string& name, const at::Tensor& like) {
  const auto found = std::find_if(state.begin(), state.end(),
                                  [&](const auto& item) { return item.first == name; });
  if (found == state.end() || found->second.sizes() != like.sizes()) {
    throw DataError(fmt::format("the optimizer's state '{}' is missing or of another shape", name),
                    "resume with the configuration that the checkpoint was saved with");
  }
  return found->second;
}

}  // namespace

void Optimizer::zero_grad() {
  for (auto& [name, parameter] : parameters_) {
    if (parameter.grad().defined()) parameter.mutable_grad().zero_();
  }
}

double Optimizer::clip_grad_norm(double max_norm) {
  double sum = 0;
  for (const auto& [name, parameter] : parameters_) {
    if (!parameter.grad().defined()) continue;
    const double norm = parameter.grad().norm().item<double>();
    sum += norm * norm;
  }
  const double norm = std::sqrt(sum);
  const double scale = max_norm / (norm + 1e-6);
  if (scale < 1.0) {
    for (auto& [name, parameter] : parameters_) {
      if (parameter.grad().defined()) parameter.mutable_grad().mul_(scale);
    }
  }
  return norm;
}

void AdamWOptions::describe(config::Fields& f) {
  f("lr", lr, "learning rate");
  f.check("lr", lr >= 0, "at least 0");
  f("weight_decay", weight_decay, "share of each weight taken away per unit of learning rate");
  f.check("weight_decay", weight_decay >= 0, "at least 0");
  f("betas", betas, "decay of the running mean and of the running square");
  f.check("betas",
          betas.size() == 2 && betas[0] >= 0 && betas[0] < 1 && betas[1] >= 0 && betas[1] < 1,
          "two numbers in [0, 1)");
  f("eps", eps, "added to the denominator");
  f.check("eps", eps >= 0, "at least 0");
}

void AdamW::attach(NamedTensors parameters) {
  parameters_ = std::move(parameters);
  if (parameters_.empty())
    throw ConfigError("nothing to train: every parameter is frozen", "see task.freeze");
  for (const auto& [name, parameter] : parameters_) {
    first_.push_back(at::zeros_like(parameter.detach(), at::MemoryFormat::Contiguous));
    second_.push_back(at::zeros_like(parameter.detach(), at::MemoryFormat::Contiguous));
  }
}

void AdamW::step(double lr) {
  const at::NoGradGuard no_grad;
  ++steps_;
  const double beta1 = options_.betas[0];
  const double beta2 = options_.betas[1];
  const auto count = static_cast<double>(steps_);
  const auto rate = static_cast<float>(lr / (1.0 - std::pow(beta1, count)));
  const auto root = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(beta2, count)));
  const auto keep = static_cast<float>(1.0 - lr * options_.weight_decay);
  const auto b1 = static_cast<float>(beta1);
  const auto b2 = static_cast<float>(beta2);
  const auto eps = static_cast<float>(options_.eps);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& parameter = parameters_[i].second;
    if (!parameter.grad().defined()) continue;
    const at::Tensor gradient = parameter.grad().contiguous();
    float* w = parameter.data_ptr<float>();
    const float* g = gradient.data_ptr<float>();
    float* m = first_[i].data_ptr<float>();
    float* v = second_[i].data_ptr<float>();
    at::parallel_for(0, parameter.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k) {
        m[k] = b1 * m[k] + (1.0F - b1) * g[k];
        v[k] = b2 * v[k] + (1.0F - b2) * g[k] * g[k];
        w[k] = w[k] * keep - rate * m[k] / (std::sqrt(v[k]) * root + eps);
      }
    });
  }
}

NamedTensors AdamW::state() const {
  NamedTensors state;
  state.emplace_back("step", at::scalar_tensor(steps_, at::kLong));
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    state.emplace_back("exp_avg." + parameters_[i].first, first_[i]);
    state.emplace_back("exp_avg_sq." + parameters_[i].first, second_[i]);
  }
  return state;
}

void AdamW::load_state(const NamedTensors& state) {
  steps_ = find(state, "step", at::scalar_tensor(0, at::kLong)).item<std::int64_t>();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    first_[i].copy_(find(state, "exp_avg." + parameters_[i].first, first_[i]));
    second_[i].copy_(find(state, "exp_avg_sq." + parameters_[i].first, second_[i]));
  }
}

POLYPHONY_REGISTER(Optimizer, AdamW, "polyphony.optim.AdamW", "torch.optim.AdamW")

}  // namespace polyphony::optim
