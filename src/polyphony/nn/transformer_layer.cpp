#include <polyphony/nn/transformer_layer.h>

#include <cmath>
#include <limits>

#include <torch/types.h>

#include <polyphony/nn/attention.h>
#include <polyphony/nn/dropout.h>

namespace polyphony::nn {

TransformerLayer::TransformerLayer(const TransformerLayerOptions& options) : options_(options) {
  const std::int64_t dims = options.dims;
  const auto linear = [this](const char* name, std::int64_t inputs, std::int64_t outputs) {
    return register_at(*this, name, std::make_shared<Linear>(inputs, outputs));
  };
  const auto norm = [this, &options](const char* name) {
    return register_at(*this, name, std::make_shared<LayerNorm>(options.dims, options.norm_eps));
  };
  if (options.names == LayerNames::kSpeech) {
    key_ = linear("attention.k_proj", dims, dims);
    value_ = linear("attention.v_proj", dims, dims);
    query_ = linear("attention.q_proj", dims, dims);
    out_ = linear("attention.out_proj", dims, dims);
    attention_norm_ = norm("layer_norm");
    intermediate_ = linear("feed_forward.intermediate_dense", dims, options.intermediate);
    output_ = linear("feed_forward.output_dense", options.intermediate, dims);
    output_norm_ = norm("final_layer_norm");
  } else {
    query_ = linear("attention.self.query", dims, dims);
    key_ = linear("attention.self.key", dims, dims);
    value_ = linear("attention.self.value", dims, dims);
    out_ = linear("attention.output.dense", dims, dims);
    attention_norm_ = norm("attention.output.LayerNorm");
    intermediate_ = linear("intermediate.dense", dims, options.intermediate);
    output_ = linear("output.dense", options.intermediate, dims);
    output_norm_ = norm("output.LayerNorm");
  }
}

/// [batch, positions, dims] -> [batch, heads, positions, head dims]
at::Tensor TransformerLayer::heads_of(const at::Tensor& x) const {
  return x.view({x.size(0), x.size(1), options_.heads, options_.dims / options_.heads})
      .transpose(1, 2);
}

at::Tensor TransformerLayer::drop(const at::Tensor& x, double rate) const {
  if (x.scalar_type() == at::kDouble) return at::dropout(x, rate, is_training());
  return dropout(x, DropoutMask::draw_if(is_training(), rate));
}

/// residual + dropout(branch)
at::Tensor TransformerLayer::add(const at::Tensor& residual, const at::Tensor& branch) const {
  if (residual.scalar_type() == at::kDouble)
    return residual + drop(branch, options_.hidden_dropout);
  return add_dropout(residual, branch.to(residual.scalar_type()),
                     DropoutMask::draw_if(is_training(), options_.hidden_dropout));
}

at::Tensor TransformerLayer::attend(const at::Tensor& x, const AttentionMask& mask) const {
  if (mask.layout == nullptr) return out_->forward(scaled_dot_product(x, mask.bias));
  const AttentionOptions options{options_.heads, /*is_causal=*/false,
                                 DropoutMask::draw_if(is_training(), options_.attention_dropout)};
  return out_->forward(nn::attend(query_->forward(x), key_->forward(x), value_->forward(x),
                                  {mask.layout, mask.layout}, options));
}

/// Attention by plain operations, before the output projection.
at::Tensor TransformerLayer::scaled_dot_product(const at::Tensor& x, const at::Tensor& bias) const {
  const double scale = 1.0 / std::sqrt(static_cast<double>(options_.dims / options_.heads));
  const at::Tensor query = heads_of(query_->forward(x) * scale);
  const at::Tensor key = heads_of(key_->forward(x));
  const at::Tensor value = heads_of(value_->forward(x));
  at::Tensor scores = at::matmul(query, key.transpose(2, 3));
  if (scores.scalar_type() == at::kBFloat16) scores = scores.to(at::kFloat);
  if (bias.defined()) scores = scores + bias;
  const at::Tensor weights = drop(at::softmax(scores, 3), options_.attention_dropout);
  const at::Tensor joined = at::matmul(weights.to(value.scalar_type()), value);
  return joined.transpose(1, 2).reshape(x.sizes());
}

at::Tensor TransformerLayer::feed_forward(const at::Tensor& x) const {
  const at::Tensor wide = activate(intermediate_->forward(x), options_.activation);
  return output_->forward(drop(wide, options_.activation_dropout));
}

at::Tensor TransformerLayer::forward(const at::Tensor& x, const AttentionMask& mask,
                                     at::ScalarType type) {
  if (x.scalar_type() == at::kDouble) type = at::kDouble;
  if (options_.norm == NormPlace::kBefore) {
    const at::Tensor attended = add(x, attend(attention_norm_->forward(x).to(type), mask));
    return add(attended, feed_forward(output_norm_->forward(attended).to(type)));
  }
  const at::Tensor attended = attention_norm_->forward(add(x, attend(x.to(type), mask)));
  return output_norm_->forward(add(attended, feed_forward(attended.to(type))));
}

at::Tensor attention_bias(const at::Tensor& mask) {
  if (!mask.defined()) return {};
  const at::Tensor bias = torch::zeros({mask.size(0), 1, 1, mask.size(1)});
  return bias.masked_fill_(mask.logical_not().unsqueeze(1).unsqueeze(1),
                           std::numeric_limits<float>::lowest());
}

}  // namespace polyphony::nn
