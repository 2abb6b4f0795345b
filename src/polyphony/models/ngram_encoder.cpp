#include <polyphony/models/ngram_encoder.h>

#include <fmt/format.h>
#include <torch/types.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>

namespace polyphony::models {
namespace {

/// Small, so that n-grams never seen in training hardly count.
constexpr double kInitialDeviation = 0.02;

}  // namespace

void NgramEncoderOptions::describe(config::Fields& f) {
  f("buckets", buckets, "rows of the table; best the dataset's ngrams.buckets");
  f.check("buckets", buckets >= 2, "at least 2");
  f("dims", dims, "width of an n-gram's vector");
  f.check("dims", dims >= 1, "at least 1");
  f("idf", idf, "weigh an n-gram by how rare it is in the training texts, as TF-IDF does");
  f("dropout", dropout, "share of n-grams left out of a training step");
  f.check("dropout", dropout >= 0 && dropout < 1, "in [0, 1)");
}

NgramEncoder::NgramEncoder(Options options) : options_(options) {
  at::Tensor table = torch::empty({options_.buckets, options_.dims});
  table.normal_(0.0, kInitialDeviation);
  table.select(0, 0).zero_();
  table_ = register_parameter("table", table);
  if (!options_.idf) return;
  texts_ = register_buffer("texts", torch::zeros({}));
  texts_with_ = register_buffer("texts_with", torch::zeros({options_.buckets}));
}

/// Counts the texts that an n-gram stands in, each text once. @param rows  int64 [batch, n-grams]
void NgramEncoder::count(const at::Tensor& rows) {
  const at::Tensor sorted = std::get<0>(rows.sort(1));
  const at::Tensor first = torch::ones_like(sorted, torch::kFloat);
  first.slice(1, 1).copy_(sorted.slice(1, 1).ne(sorted.slice(1, 0, -1)));
  texts_with_.index_add_(0, sorted.flatten(), first.flatten());
  texts_.add_(static_cast<double>(rows.size(0)));
}

/// log((1 + texts) / (1 + texts with it)) + 1, scikit-learn's smooth idf.
at::Tensor NgramEncoder::rarity(const at::Tensor& rows) const {
  const at::Tensor with = texts_with_.index_select(0, rows.flatten()).view_as(rows);
  return torch::log((1 + texts_) / (1 + with)) + 1;
}

Encoded NgramEncoder::encode(const data::Batch& batch) {
  at::Tensor ngrams = input(batch, "ngrams");
  if (ngrams.dim() != 3) {
    throw DataError(
        fmt::format("'ngrams' has {} dimensions, want [batch, positions, n]", ngrams.dim()),
        "let the dataset give one row of n-gram numbers for each position");
  }
  if (ngrams.size(1) == 0) ngrams = torch::constant_pad_nd(ngrams, {0, 0, 0, 1});
  const at::Tensor real = ngrams.gt(0);
  const at::Tensor rows = ((ngrams - 1).remainder(options_.buckets - 1) + 1) * real;
  at::Tensor weights = real.to(torch::kFloat);
  if (options_.idf) {
    if (is_training()) count(rows.flatten(1));
    weights = weights * rarity(rows);
  }
  const at::Tensor norm = weights.square().sum({1, 2}).clamp_min(1.0).sqrt().unsqueeze(1);
  if (is_training() && options_.dropout > 0)
    weights = torch::dropout(weights, options_.dropout, true);
  Encoded encoded;
  encoded.sequence =
      (torch::embedding(table_, rows, /*padding_idx=*/0) * weights.unsqueeze(3)).sum(2);
  encoded.lengths = input(batch, "ngrams_length");
  encoded.pooled = encoded.sequence.sum(1) / norm;
  return encoded;
}

POLYPHONY_REGISTER(Encoder, NgramEncoder, "polyphony.models.NgramEncoder",
                   "text: a learned vector for each hashed character n-gram")

}  // namespace polyphony::models
