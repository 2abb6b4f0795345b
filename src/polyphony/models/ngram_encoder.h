#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <polyphony/config/fields.h>
#include <polyphony/models/model.h>

namespace polyphony::models {

struct NgramEncoderOptions {
  int buckets = 1 << 16;  ///< rows of the table; hashes are taken modulo this, 0 stays padding
  int dims = 64;
  double dropout = 0.3;  ///< share of n-grams left out of a training step

  void describe(config::Fields& f);
};

/// A bag of hashed character n-grams: one learned vector a bucket.
///
/// Needs "ngrams" int64 [batch, positions, n] (0 = padding) and "ngrams_length" int64 [batch].
/// A position's embedding is the sum over the n-grams that start there; pooled is the sum over all
/// n-grams by the square root of their count, so that long and short texts have one scale (as
/// TF-IDF's L2 norm).
class NgramEncoder : public Encoder {
 public:
  using Options = NgramEncoderOptions;
  explicit NgramEncoder(Options options);

  Encoded encode(const data::Batch& batch) override;
  std::int64_t dims() const override { return options_.dims; }
  std::vector<std::string> inputs() const override { return {"ngrams"}; }

 private:
  Options options_;
  at::Tensor table_;  // float [buckets, dims]
};

}  // namespace polyphony::models
