#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/models/encoder_network.h>
#include <polyphony/models/model.h>
#include <polyphony/models/pretrained_weights.h>

namespace polyphony::models {

/// What the weights begin with.
enum class InitialWeights {
  kPretrained,  ///< those of the folder
  kRandom,      ///< drawn from the seed: the folder's config.json alone is read
};

struct SequenceClassifierOptions {
  std::string pretrained_model;
  std::string pretrained_model_name_or_path;  ///< Transformers' name for it
  std::optional<std::int64_t> num_labels;
  InitialWeights weights = InitialWeights::kPretrained;
  config::Node config = config::Node::map();  ///< keys of config.json to replace
  bool ignore_mismatched_sizes = false;
  bool freeze_feature_encoder = false;
  std::optional<std::int64_t> freeze_layers;
  bool gradient_checkpointing = false;

  void describe(config::Fields& f);
};

/// What a classifier makes of a batch.
struct Classified {
  at::Tensor logits;      ///< float [batch, labels]
  EncoderOutput encoder;  ///< hidden states if they were asked for
};

/// A pretrained encoder with a classification head, as Transformers' …ForSequenceClassification:
/// HuBERT and wav2vec 2.0 (projector, mean over real frames), RoBERTa and XLM-R (dense, tanh), BERT
/// (pooler). Weights have Transformers' names.
///
/// Needs "input_values" (speech) or "input_ids" (text), and takes "attention_mask" (or the length
/// that collation adds) and "token_type_ids" if the batch has them.
class SequenceClassifier : public Model {
 public:
  using Options = SequenceClassifierOptions;
  explicit SequenceClassifier(const Options& options);
  /// With weights drawn from the seeded generator.
  explicit SequenceClassifier(const PretrainedConfig& config);

  at::Tensor forward(const data::Batch& batch) override;
  std::vector<std::string> inputs() const override;

  /// @param options  its `last_layer` must be -1
  Classified classify(const EncoderInput& input, const EncodeOptions& options);

  /// Refuses to be trained or tested on rows that config.json does not speak of, as the loss that
  /// Transformers would take is another.
  /// @param several  whether a row may have several classes
  /// @throws ConfigError
  void check_targets(std::int64_t labels, bool several) const override;

  EncoderNetwork& encoder() { return *encoder_; }
  const PretrainedConfig& config() const { return config_; }
  /// What the checkpoint had and had not.
  const LoadReport& load_report() const { return report_; }

  /// Writes a folder that Transformers loads: config.json, model.safetensors, and the tokenizer and
  /// preprocessor files of the folder this model came from.
  /// @param labels  class names in label order; empty: as they were, else LABEL_0, LABEL_1, …
  void save_pretrained(const std::filesystem::path& folder,
                       const std::vector<std::string>& labels = {}) const;

 private:
  void make_parts();
  at::Tensor head(const EncoderOutput& encoded) const;
  at::Tensor speech_head(const EncoderOutput& encoded) const;

  std::filesystem::path folder_;  ///< where the weights came from; empty: nowhere
  PretrainedConfig config_;
  LoadReport report_;
  std::shared_ptr<EncoderNetwork> encoder_;
  at::Tensor layer_weights_;           ///< speech, weighted layer sum: float [layers + 1]
  std::shared_ptr<nn::Linear> dense_;  ///< projector, pooler or the head's first layer
  std::shared_ptr<nn::Linear> classifier_;
};

/// A batch as an encoder wants it. @throws DataError if its input is missing
EncoderInput encoder_input(const data::Batch& batch, const PretrainedConfig& config);

}  // namespace polyphony::models

template <>
struct polyphony::config::EnumNames<polyphony::models::InitialWeights> {
  static constexpr std::pair<const char*, polyphony::models::InitialWeights> kTable[] = {
      {"pretrained", polyphony::models::InitialWeights::kPretrained},
      {"random", polyphony::models::InitialWeights::kRandom}};
};
