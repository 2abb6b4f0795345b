#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/models/model.h>

namespace polyphony::models {

struct NgramEncoderOptions {
  int buckets = 1 << 16;  ///< rows of the table; hashes are taken modulo this, 0 stays padding
  int dims = 64;
  bool idf = true;
  double dropout = 0.3;  ///< share of n-grams left out of a training step

  void describe(config::Fields& f);
};

/// A bag of hashed character n-grams: one learned vector a bucket.
///
/// Needs "ngrams" int64 [batch, positions, n] (0 = padding) and "ngrams_length" int64 [batch].
/// A position's embedding is the weighted sum over the n-grams that start there; pooled is the sum
/// over all n-grams, divided by the L2 norm of their weights. With `idf` a weight is the n-gram's
/// inverse document frequency among the texts seen in training (running counts, kept in the state);
/// without, it is 1.
class NgramEncoder : public Encoder {
 public:
  using Options = NgramEncoderOptions;
  explicit NgramEncoder(Options options);

  Encoded encode(const data::Batch& batch) override;
  std::int64_t dims() const override { return options_.dims; }
  std::vector<std::string> inputs() const override { return {"ngrams"}; }

 private:
  void count(const at::Tensor& rows);
  at::Tensor rarity(const at::Tensor& rows) const;

  Options options_;
  at::Tensor table_;       // float [buckets, dims]
  at::Tensor texts_;       // float [], seen in training
  at::Tensor texts_with_;  // float [buckets], those an n-gram stood in
};

}  // namespace polyphony::models
