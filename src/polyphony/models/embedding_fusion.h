#pragma once

#include <memory>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/models/model.h>
#include <polyphony/models/multi_modal_transformer.h>

namespace polyphony::models {

struct EmbeddingFusionOptions {
  MultiModalTransformerOptions network;  ///< with the widths and labels that it leaves to its owner
  int text_max_length = 249;
  bool always_scale = true;        ///< the original's quirk; see describe
  bool mask_last_position = true;  ///< the original's quirk; see describe

  void describe(config::Fields& f);
};

/// The original's fusion model over hidden states of frozen encoders, with its parameter names.
///
/// A batch has "audio_hidden" and "text_hidden", float [batch, positions, dims], and of each either
/// its lengths, int64 [batch] ("audio_hidden_length"), or the original's own mask, bool
/// [batch, positions], true for padding ("audio_mask"). Positions behind a length do not
/// influence the result.
class EmbeddingFusion : public Model {
 public:
  using Options = EmbeddingFusionOptions;
  explicit EmbeddingFusion(const Options& options);

  at::Tensor forward(const data::Batch& batch) override;
  std::vector<std::string> inputs() const override { return {"audio_hidden", "text_hidden"}; }
  void train(bool on) override;

 private:
  Options options_;
  std::shared_ptr<MultiModalTransformer> network_;  // its children are this module's own
};

/// The same as of January 2024: other option names, sinusoidal positions.
struct EmbeddingFusionJan2024Options : EmbeddingFusionOptions {
  void describe(config::Fields& f);
};

class EmbeddingFusionJan2024 : public EmbeddingFusion {
 public:
  using Options = EmbeddingFusionJan2024Options;
  explicit EmbeddingFusionJan2024(const Options& options) : EmbeddingFusion(options) {}
};

}  // namespace polyphony::models
