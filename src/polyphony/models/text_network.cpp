#include <polyphony/models/text_network.h>

#include <fmt/format.h>
#include <torch/types.h>

#include <polyphony/base/error.h>

namespace polyphony::models {
namespace {

/// Positions that some row fills.
std::int64_t longest(const at::Tensor& mask) {
  const at::Tensor used = mask.ne(0).any(0).nonzero();
  return used.size(0) == 0 ? 1 : used.max().item<std::int64_t>() + 1;
}

EncoderInput trimmed(const EncoderInput& input) {
  const std::int64_t tokens = longest(input.attention_mask);
  const auto truncate = [tokens](const at::Tensor& x) {
    return x.defined() ? x.narrow(1, 0, tokens) : x;
  };
  return {truncate(input.values), truncate(input.attention_mask), truncate(input.token_type_ids)};
}

void check_ids(const at::Tensor& ids, std::int64_t rows, const char* name, const char* table) {
  if (ids.numel() == 0) return;
  const std::int64_t least = ids.min().item<std::int64_t>();
  const std::int64_t most = ids.max().item<std::int64_t>();
  if (least >= 0 && most < rows) return;
  throw DataError(fmt::format("{} holds {}, but {} of this model is {}", name,
                              least < 0 ? least : most, table, rows),
                  "use the tokenizer that belongs to the model");
}

void check(const EncoderInput& input) {
  if (input.values.dim() != 2 || input.values.scalar_type() != at::kLong ||
      input.values.numel() == 0) {
    throw DataError(
        fmt::format("a text encoder wants int64 ids [batch, tokens], but gets {} [{}]",
                    at::toString(input.values.scalar_type()), fmt::join(input.values.sizes(), ",")),
        "give it the dataset's input_ids");
  }
  const auto fits = [&](const at::Tensor& other, const char* name) {
    if (!other.defined() || other.sizes() == input.values.sizes()) return;
    throw DataError(
        fmt::format("{} [{}] does not fit input_ids [{}]", name, fmt::join(other.sizes(), ","),
                    fmt::join(input.values.sizes(), ",")),
        "give one number for each token");
  };
  fits(input.attention_mask, "attention_mask");
  fits(input.token_type_ids, "token_type_ids");
}

}  // namespace

TextNetwork::TextNetwork(const PretrainedConfig& config) : EncoderNetwork(config) {
  const TextConfig& text = config_.text;
  const std::int64_t dims = config_.layer.dims;
  torch::nn::Module& embeddings = nn::submodule(*this, "embeddings");
  const auto table = [&](const char* name, std::int64_t rows, std::int64_t padding) {
    return embeddings.register_module(name, std::make_shared<nn::Embedding>(rows, dims, padding));
  };
  const bool bert = config_.kind == EncoderKind::kBert;
  words_ = table("word_embeddings", text.vocab_size, text.pad_token_id);
  positions_ =
      table("position_embeddings", text.max_position_embeddings, bert ? -1 : text.pad_token_id);
  types_ = table("token_type_embeddings", text.type_vocab_size, -1);
  embeddings.register_buffer(  // not read; Transformers keeps it in its files
      "position_ids", torch::arange(text.max_position_embeddings, torch::kLong).unsqueeze(0));
  norm_ = embeddings.register_module("LayerNorm",
                                     std::make_shared<nn::LayerNorm>(dims, config_.layer.norm_eps));
  make_layers("layer");
}

/// int64 [1 or batch, tokens]. RoBERTa numbers the tokens that are not padding, after its index.
at::Tensor TextNetwork::positions_of(const at::Tensor& ids) const {
  if (config_.kind == EncoderKind::kBert)
    return torch::arange(ids.size(1), torch::kLong).unsqueeze(0);
  const at::Tensor real = ids.ne(config_.text.pad_token_id).to(torch::kLong);
  return real.cumsum(1) * real + config_.text.pad_token_id;
}

at::Tensor TextNetwork::embed(const EncoderInput& input) const {
  const TextConfig& text = config_.text;
  check_ids(input.values, text.vocab_size, "input_ids", "the vocabulary");
  const at::Tensor positions = positions_of(input.values);
  if (positions.max().item<std::int64_t>() >= text.max_position_embeddings) {
    throw DataError(fmt::format("a text of {} tokens is too long: the model has {} positions",
                                input.values.size(1), text.max_position_embeddings),
                    "lower the dataset's max_length");
  }
  at::Tensor sum = words_->forward(input.values);
  if (input.token_type_ids.defined()) {
    check_ids(input.token_type_ids, text.type_vocab_size, "token_type_ids", "the number of types");
    sum.add_(types_->forward(input.token_type_ids));
  } else {
    sum.add_(types_->weight.select(0, 0));
  }
  sum.add_(positions_->forward(positions));
  return at::dropout(norm_->forward(sum), config_.layer.hidden_dropout, is_training());
}

EncoderOutput TextNetwork::encode(const EncoderInput& given, const EncodeOptions& options) {
  check(given);
  const bool trim = options.padding == Padding::kTrim && given.attention_mask.defined();
  const EncoderInput input = trim ? trimmed(given) : given;
  EncoderOutput output;
  if (input.attention_mask.defined()) output.mask = input.attention_mask.ne(0);
  run_layers(
      embed(input), options, [](std::int64_t) { return false; },
      [](const at::Tensor& last) { return last; }, output);
  return output;
}

}  // namespace polyphony::models
