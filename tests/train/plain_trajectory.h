#pragma once

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include <nn/plain_cross_modal.h>

#include "golden_case.h"

// The training of a golden case as it is written down, in float64: where rounding of float32 plays
// no part.

namespace polyphony::train {

/// What a training gives, by batch; a gradient norm is NaN where the optimizer did not step.
struct Trajectory {
  std::vector<double> losses;
  std::vector<double> grad_norms;
  std::map<std::string, at::Tensor> weights;  ///< at its end
};

/// Which way float32 takes what its rounding decides:
/// - the gradient of a weight that is smaller than the rounding of the sum it comes from, as long
/// as
///   all earlier ones of the weight were. AdamW divides by its size, so that the weight moves by up
///   to the rate, one way or the other;
/// - a ReLU whose input is as near to 0: it lets its gradient through, or not.
enum class Rounding { kNone, kUp, kDown };

/// What counts as rounding, as a share of a tensor's largest number: some units in its last place.
constexpr double kRounding = 0x1p-20;

class PlainTraining {
 public:
  explicit PlainTraining(const GoldenCase& one, Rounding rounding = Rounding::kNone)
      : case_(one), rounding_(rounding), model_(model_of(one)) {
    const models::MultiModalTransformerOptions options = model_options(one);
    nn::CrossModalTransformerOptions network;
    network.model_dims = options.model_dims;
    network.num_heads = options.num_heads;
    network.num_layers = options.num_layers;
    network.attn_mask = options.attn_mask;
    network.positions = options.positions;
    for (const auto& child : model_->named_children()) {
      if (!child.key().starts_with("audio_") && !child.key().starts_with("text_")) continue;
      if (child.key().ends_with("_encoder")) continue;
      networks_.emplace(child.key(), nn::PlainCrossModal(network, *child.value(), at::kDouble));
    }
    for (auto& [name, plain] : networks_) plain.cut_relu_at(cut());
    for (const auto& item : model_->named_parameters()) {
      const std::string network_name = item.key().substr(0, item.key().find('.'));
      const auto found = networks_.find(network_name);
      weights_[item.key()] =
          found != networks_.end()
              ? found->second.parameters().at(item.key().substr(network_name.size() + 1))
              : item.value().detach().to(at::kDouble).requires_grad_(true);
    }
    for (const auto& [name, weight] : weights_) {
      first_[name] = at::zeros_like(weight.detach());
      second_[name] = at::zeros_like(weight.detach());
      rounded_[name] = at::ones(weight.sizes(), at::kBool);
    }
  }

  Trajectory run() {
    Trajectory trajectory;
    const std::int64_t batches = case_.facts.at("n_batches");
    const std::int64_t accumulate = case_.facts.at("accumulate");
    const std::int64_t epochs = case_.facts.at("epochs");
    for (std::int64_t seen = 0; seen < batches * epochs; ++seen) {
      const std::int64_t batch = seen % batches;
      if (batch % accumulate == 0) {
        for (auto& [name, weight] : weights_) weight.mutable_grad() = at::Tensor();
      }
      const at::Tensor loss = loss_of("batch" + std::to_string(batch) + ".") / accumulate;
      loss.backward();
      trajectory.losses.push_back(loss.item<double>());
      const bool steps = (batch + 1) % accumulate == 0 || batch + 1 == batches;
      const double lr = case_.facts.at("steps").at(static_cast<std::size_t>(seen)).at("lr");
      trajectory.grad_norms.push_back(steps ? step(lr) : NAN);
    }
    trajectory.weights = weights_;
    return trajectory;
  }

 private:
  at::Tensor linear(const std::string& name, const at::Tensor& x) const {
    return at::linear(x, weights_.at(name + ".weight"), weights_.at(name + ".bias"));
  }
  at::Tensor project(const std::string& name, const at::Tensor& x) const {
    return at::conv1d(x.to(at::kDouble).transpose(1, 2), weights_.at(name + ".weight"),
                      weights_.at(name + ".bias"), 1, 1)
        .transpose(1, 2);
  }
  at::Tensor loss_of(const std::string& batch) {
    const at::Tensor& audio_mask = case_.at(batch + "audio_mask");
    const at::Tensor& text_mask = case_.at(batch + "text_mask");
    at::Tensor audio = project("audio_encoder", case_.at(batch + "audio_hidden"));
    at::Tensor text = project("text_encoder", case_.at(batch + "text_hidden"));
    audio = networks_.at("audio_text").forward(audio, text, text_mask);
    text = networks_.at("text_audio").forward(text, audio, audio_mask);
    audio = networks_.at("audio_self").forward(audio, audio, audio_mask).select(1, 0);
    text = networks_.at("text_self").forward(text, text, text_mask).select(1, 0);
    const at::Tensor joined = at::cat({audio, text}, 1);
    const at::Tensor out = joined + linear("fc2", nn::relu(linear("fc1", joined), cut()));
    return at::cross_entropy_loss(linear("out_layer", out), case_.at(batch + "label"));
  }
  double side() const {
    return rounding_ == Rounding::kNone ? 0 : rounding_ == Rounding::kUp ? 1 : -1;
  }
  double cut() const { return -side() * kRounding; }
  at::Tensor as_rounded(const std::string& name, const at::Tensor& gradient) {
    if (rounding_ == Rounding::kNone) return gradient;
    const double error = kRounding * gradient.abs().max().item<double>();
    // A gradient of exactly 0, as behind a ReLU that cuts, is 0 in float32 as well.
    const at::Tensor small = (gradient.abs() < error).logical_and(gradient != 0);
    rounded_[name] = rounded_[name].logical_and(small);
    return gradient.masked_fill(rounded_[name], side() * error);
  }
  /// AdamW after clipping. @return the gradients' norm before it
  double step(double lr) {
    constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEps = 1e-8, kDecay = 1e-2;
    double squares = 0;
    for (const auto& [name, weight] : weights_) {
      squares += weight.grad().square().sum().item<double>();
    }
    const double norm = std::sqrt(squares);
    const nlohmann::json& limit = case_.facts.at("clip");
    const double scale = limit.is_null() ? 1.0 : std::min(1.0, limit.get<double>() / (norm + 1e-6));
    ++steps_;
    const at::NoGradGuard no_grad;
    for (auto& [name, weight] : weights_) {
      const at::Tensor gradient = as_rounded(name, weight.grad() * scale);
      first_[name] = kBeta1 * first_[name] + (1 - kBeta1) * gradient;
      second_[name] = kBeta2 * second_[name] + (1 - kBeta2) * gradient.square();
      const at::Tensor mean = first_[name] / (1 - std::pow(kBeta1, steps_));
      const at::Tensor root = (second_[name] / (1 - std::pow(kBeta2, steps_))).sqrt();
      weight.mul_(1 - lr * kDecay).sub_(lr * mean / (root + kEps));
    }
    return norm;
  }

  const GoldenCase& case_;
  Rounding rounding_;
  std::shared_ptr<models::MultiModalTransformer> model_;
  std::map<std::string, nn::PlainCrossModal> networks_;
  std::map<std::string, at::Tensor> weights_;
  std::map<std::string, at::Tensor> first_;
  std::map<std::string, at::Tensor> second_;
  std::map<std::string, at::Tensor> rounded_;  ///< bool: gradients so far were rounding
  int steps_ = 0;
};

}  // namespace polyphony::train
