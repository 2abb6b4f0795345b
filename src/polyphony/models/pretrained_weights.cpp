#include <polyphony/models/pretrained_weights.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/types.h>

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
    } else if (has(name, "conv_layers") && config_.kind == EncoderKind::kWav2Vec2) {
      const double bound = std::sqrt(1.0 / static_cast<double>(inputs_of(name)));
      weight.uniform_(-bound, bound);
    } else {
      weight.zero_();
    }
  }

  /// Numbers that one output of a front-end's convolution is made of.
  std::int64_t inputs_of(const std::string& name) const {
    const auto& layers = config_.speech.conv.layers;
    const std::string_view part = "conv_layers.";
    const std::size_t i = std::stoul(name.substr(name.find(part) + part.size()));
    return layers.at(i).kernel * (i == 0 ? 1 : layers.at(i - 1).dims);
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

/// How the checkpoint's names become the module's: the family's prefix is added or taken away.
/// Source: PreTrainedModel._load_pretrained_model of Transformers 4.27.1.
class Prefix {
 public:
  /// @param own     what the module's names begin with; empty if it is the encoder itself
  /// @param family  e.g. "hubert."
  Prefix(const std::string& own, std::string family, const std::vector<std::string>& names)
      : family_(std::move(family)) {
    const auto with = [&](const std::string& name) { return name.starts_with(family_); };
    const bool prefixed = std::any_of(names.begin(), names.end(), with);
    if (prefixed == !own.empty()) return;
    change_ = prefixed ? Change::kTake : Change::kAdd;
  }

  bool adds() const { return change_ == Change::kAdd; }
  std::string operator()(const std::string& name) const {
    if (change_ == Change::kAdd) return family_ + name;
    const bool take = change_ == Change::kTake && name.starts_with(family_);
    return take ? name.substr(family_.size()) : name;
  }

 private:
  enum class Change { kNone, kAdd, kTake };
  std::string family_;
  Change change_ = Change::kNone;
};

/// An encoder's weights without prefix and a head's beside them are of no model's making.
void refuse_mixture(const Prefix& prefix, const std::vector<std::string>& names,
                    const TensorMap& own, const std::string& source) {
  if (!prefix.adds()) return;
  for (const std::string& name : names) {
    if (!own.contains(name) || own.contains(prefix(name))) continue;
    throw DataError(
        fmt::format("{}: {} belongs to a whole model, but the encoder's weights lack the prefix "
                    "that they have in one",
                    source, name),
        "save the model again with save_pretrained");
  }
}

/// @throws DataError if numbers of another kind stand for weights
void adopt(at::Tensor& into, const at::Tensor& from, const std::string& name,
           const std::string& source) {
  const at::NoGradGuard no_grad;
  if (into.is_floating_point() && !from.is_floating_point()) {
    throw DataError(fmt::format("{}: {} is of type {}, want float", source, name,
                                at::toString(from.scalar_type())),
                    "quantized weights are not read: take the model's float32, float16 or bfloat16 "
                    "weights");
  }
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

namespace {

/// A module's weights, and which of them a checkpoint gave.
class Loading {
 public:
  Loading(torch::nn::Module& module, std::string source)
      : own_(own_weights(module)), source_(std::move(source)) {}

  void receive(const std::string& name, const at::Tensor& weight) {
    const auto found = own_.find(name);
    if (found == own_.end()) {
      if (!is_position_ids(name)) report_.unexpected.push_back(name);
    } else if (weight.sizes() == found->second.sizes()) {
      adopt(found->second, weight, name, source_);
      given_.insert(name);
    } else {
      misshapen_[name] = fmt::format(
          "{}: found shape [{}] in the checkpoint and [{}] in the model instantiated", name,
          fmt::join(weight.sizes(), ", "), fmt::join(found->second.sizes(), ", "));
    }
  }

  bool any_of(const std::string& prefix) const {
    const auto with = [&](const std::string& name) { return name.starts_with(prefix); };
    return std::any_of(given_.begin(), given_.end(), with);
  }

  /// Draws what was not given.
  LoadReport finish(const PretrainedConfig& config) {
    const Drawing draw(config);
    std::vector<std::string> drawn;
    for (auto& [name, weight] : own_) {
      if (given_.contains(name) || is_position_ids(name)) continue;
      draw(name, weight);
      drawn.push_back(name);
      const auto other = misshapen_.find(name);
      if (other == misshapen_.end()) {
        report_.missing.push_back(name);
      } else {
        report_.mismatched.push_back(other->second);
      }
    }
    set_lengths(own_, drawn);
    std::sort(report_.unexpected.begin(), report_.unexpected.end());
    return std::move(report_);
  }

  const TensorMap& own() const { return own_; }

 private:
  TensorMap own_;
  std::string source_;
  std::set<std::string> given_;
  std::map<std::string, std::string> misshapen_;  ///< what is to be said of each
  LoadReport report_;
};

}  // namespace

LoadReport load_weights(torch::nn::Module& module, const std::string& prefix,
                        const PretrainedConfig& config, WeightFiles weights,
                        const std::string& source, Mismatch mismatch) {
  const std::vector<std::string> names = weights.names();
  const Prefix fitted(prefix, base_prefix(config.kind) + ".", names);
  Loading loading(module, source);
  refuse_mixture(fitted, names, loading.own(), source);
  weights.take([&](const std::string& name, const at::Tensor& weight) {
    loading.receive(fitted(name), weight);
  });
  if (!loading.any_of(prefix)) {
    throw DataError(
        fmt::format("{}: none of its {} weights is one of this model", source, names.size()),
        "give the folder whose config.json and weights belong together");
  }
  LoadReport report = loading.finish(config);
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
