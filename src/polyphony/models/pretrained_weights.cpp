#include <polyphony/models/pretrained_weights.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn.h>

#include <polyphony/base/error.h>

namespace polyphony::models {
namespace {

using tensor::TensorMap;

bool has(const std::string& name, std::string_view part) {
  return name.find(part) != std::string::npos;
}

/// Computed, not learnt: Transformers 4.27 keeps it in its files, later versions do not.
bool is_position_ids(const std::string& name) { return name.ends_with("embeddings.position_ids"); }

/// Draws one weight as Transformers 4.27.1 initialises it.
class Drawing {
 public:
  explicit Drawing(const PretrainedConfig& config) : config_(config) {}

  void operator()(const std::string& name, at::Tensor& weight) const {
    const at::NoGradGuard no_grad;
    if (is_position_ids(name)) return;
    if (has(name, "layer_norm.") || has(name, "LayerNorm.")) {
      weight.fill_(name.ends_with(".weight") ? 1.0 : 0.0);
    } else if (has(name, "pos_conv_embed") || has(name, "conv_layers")) {
      convolution(name, weight);
    } else if (name.ends_with("masked_spec_embed")) {
      weight.uniform_();
    } else if (name == "layer_weights") {
      weight.fill_(1.0 / static_cast<double>(weight.numel()));
    } else if (has(name, "feature_projection") && config_.kind == EncoderKind::kWav2Vec2) {
      const double bound =
          std::sqrt(1.0 / static_cast<double>(config_.speech.conv.layers.back().dims));
      weight.uniform_(-bound, bound);
    } else if (name.ends_with(".bias")) {
      weight.zero_();
    } else {
      weight.normal_(0.0, config_.initializer_range);
      if (has(name, "word_embeddings")) weight.select(0, config_.text.pad_token_id).zero_();
      if (has(name, "position_embeddings") && config_.kind != EncoderKind::kBert)
        weight.select(0, config_.text.pad_token_id).zero_();
    }
  }

 private:
  void convolution(const std::string& name, at::Tensor& weight) const {
    if (name.ends_with(".weight")) {
      torch::nn::init::kaiming_normal_(weight);
    } else if (name.ends_with(".weight_v")) {
      torch::nn::init::kaiming_uniform_(weight, std::sqrt(5.0));
    } else if (name.ends_with(".weight_g")) {
      weight.fill_(1.0);
    } else {
      weight.zero_();
    }
  }

  const PretrainedConfig& config_;
};

/// A weight norm whose direction was drawn has that direction's length, as PyTorch begins it.
void set_lengths(const TensorMap& own, const std::vector<std::string>& drawn) {
  const at::NoGradGuard no_grad;
  for (const std::string& name : drawn) {
    if (!name.ends_with(".weight_g")) continue;
    const at::Tensor& direction = own.at(name.substr(0, name.size() - 1) + "v");
    at::Tensor(own.at(name)).copy_(direction.norm(2, at::IntArrayRef({0, 1}), /*keepdim=*/true));
  }
}

TensorMap own_weights(const torch::nn::Module& module) {
  TensorMap own;
  for (const auto& item : module.named_parameters()) own.emplace(item.key(), item.value());
  for (const auto& item : module.named_buffers()) own.emplace(item.key(), item.value());
  return own;
}

/// The checkpoint's names as the module has them: the family's prefix added or taken away.
TensorMap fitted(TensorMap weights, const std::string& prefix, const std::string& family) {
  const auto with = [&](const auto& item) { return item.first.starts_with(family); };
  const bool prefixed = std::any_of(weights.begin(), weights.end(), with);
  if (prefixed == !prefix.empty()) return weights;
  TensorMap fitted;
  for (auto& [name, tensor] : weights) {
    if (!prefixed) {
      fitted.emplace(prefix + name, tensor);
    } else {
      fitted.emplace(name.starts_with(family) ? name.substr(family.size()) : name, tensor);
    }
  }
  return fitted;
}

void adopt(at::Tensor& into, const at::Tensor& from) {
  const at::NoGradGuard no_grad;
  if (from.scalar_type() == into.scalar_type() && from.is_contiguous()) {
    into.set_data(from.detach());  // no copy: large models have gigabytes
  } else {
    into.copy_(from);
  }
}

std::string python_list(const std::vector<std::string>& names) {
  return fmt::format("['{}']", fmt::join(names, "', '"));
}

}  // namespace

std::string LoadReport::text(const std::string& model, const std::string& source) const {
  std::string text;
  if (!unexpected.empty()) {
    text += fmt::format(
        "Some weights of the model checkpoint at {} were not used when initializing {}: {}\n",
        source, model, python_list(unexpected));
  }
  if (!missing.empty()) {
    text += fmt::format(
        "Some weights of {} were not initialized from the model checkpoint at {} and are newly "
        "initialized: {}\n",
        model, source, python_list(missing));
  }
  if (!mismatched.empty()) {
    text += fmt::format(
        "Some weights of {} were not initialized from the model checkpoint at {} and are newly "
        "initialized because the shapes did not match:\n- {}\n",
        model, source, fmt::join(mismatched, "\n- "));
  }
  if (!missing.empty() || !mismatched.empty()) {
    text +=
        "You should probably TRAIN this model on a down-stream task to be able to use it for "
        "predictions and inference.\n";
  }
  return text;
}

LoadReport load_weights(torch::nn::Module& module, const std::string& prefix,
                        const PretrainedConfig& config, TensorMap given, const std::string& source,
                        Mismatch mismatch) {
  const TensorMap weights = fitted(std::move(given), prefix, base_prefix(config.kind) + ".");
  TensorMap own = own_weights(module);
  LoadReport report;
  std::vector<std::string> drawn;
  std::size_t encoder_weights = 0;
  const Drawing draw(config);
  for (auto& [name, target] : own) {
    const auto found = weights.find(name);
    const bool here = found != weights.end();
    if (here && found->second.sizes() == target.sizes()) {
      adopt(target, found->second);
      if (name.starts_with(prefix)) ++encoder_weights;
      continue;
    }
    if (is_position_ids(name)) continue;
    draw(name, target);
    drawn.push_back(name);
    if (!here) {
      report.missing.push_back(name);
      continue;
    }
    report.mismatched.push_back(
        fmt::format("{}: found shape [{}] in the checkpoint and [{}] in the model instantiated",
                    name, fmt::join(found->second.sizes(), ", "), fmt::join(target.sizes(), ", ")));
  }
  set_lengths(own, drawn);
  for (const auto& [name, tensor] : weights) {
    if (!own.contains(name) && !is_position_ids(name)) report.unexpected.push_back(name);
  }
  if (encoder_weights == 0) {
    throw DataError(
        fmt::format("{}: none of its {} weights is one of this model", source, weights.size()),
        "give the folder whose config.json and weights belong together");
  }
  if (mismatch == Mismatch::kRefuse && !report.mismatched.empty()) {
    throw DataError(
        fmt::format("{}: size mismatch for {}", source, fmt::join(report.mismatched, "; ")),
        "set num_labels as the checkpoint has it, or ignore_mismatched_sizes=true to draw those "
        "weights anew");
  }
  return report;
}

void draw_weights(torch::nn::Module& module, const PretrainedConfig& config) {
  const Drawing draw(config);
  TensorMap own = own_weights(module);
  std::vector<std::string> drawn;
  for (auto& [name, weight] : own) {
    draw(name, weight);
    drawn.push_back(name);
  }
  set_lengths(own, drawn);
}

TensorMap weights_of(const torch::nn::Module& module) {
  TensorMap weights = own_weights(module);
  for (auto& [name, tensor] : weights) tensor = tensor.detach();
  return weights;
}

}  // namespace polyphony::models
