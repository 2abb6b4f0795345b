#include <polyphony/models/ngram_encoder.h>

#include <fmt/format.h>
#include <torch/nn.h>

#include <polyphony/base/error.h>
#include <polyphony/config/registry.h>

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
  f("dropout", dropout, "share of n-grams left out of a training step");
  f.check("dropout", dropout >= 0 && dropout < 1, "in [0, 1)");
}

NgramEncoder::NgramEncoder(Options options) : options_(options) {
  at::Tensor table = torch::empty({options_.buckets, options_.dims});
  table.normal_(0.0, kInitialDeviation);
  table.select(0, 0).zero_();
  table_ = register_parameter("table", table);
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
  const at::Tensor count = real.sum({1, 2}).to(torch::kFloat).clamp_min(1.0).unsqueeze(1);
  at::Tensor rows = (ngrams - 1).remainder(options_.buckets - 1) + 1;
  at::Tensor kept = real;
  double scale = 1.0;
  if (is_training() && options_.dropout > 0) {
    const at::Tensor chance = torch::rand(ngrams.sizes(), torch::kFloat);
    kept = real.logical_and(chance.ge(options_.dropout));
    scale = 1.0 / (1.0 - options_.dropout);
  }
  rows = rows * kept;
  Encoded encoded;
  encoded.sequence = torch::embedding(table_, rows, /*padding_idx=*/0).sum(2) * scale;
  encoded.lengths = input(batch, "ngrams_length");
  encoded.pooled = encoded.sequence.sum(1) / count.sqrt();
  return encoded;
}

POLYPHONY_REGISTER(Encoder, NgramEncoder, "polyphony.models.NgramEncoder",
                   "text: a learned vector for each hashed character n-gram")

}  // namespace polyphony::models
