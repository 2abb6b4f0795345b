#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/nn/conv_features.h>
#include <polyphony/nn/mask_indices.h>
#include <polyphony/nn/transformer_layer.h>

namespace polyphony::models {

/// The families of encoders that Hugging Face calls `model_type`.
enum class EncoderKind { kHubert, kWav2Vec2, kBert, kRoberta, kXlmRoberta };

bool is_speech(EncoderKind kind);
/// Transformers' class of the family's classifier, e.g. "HubertForSequenceClassification".
std::string classifier_class(EncoderKind kind);
/// What the names of the encoder's weights begin with, e.g. "hubert".
std::string base_prefix(EncoderKind kind);

/// What Hugging Face calls `problem_type`: the loss that a text classifier was trained with.
enum class ProblemType { kRegression, kSingleLabel, kMultiLabel };

/// Of HuBERT and wav2vec 2.0, with Transformers' defaults.
struct SpeechConfig {
  nn::ConvFeaturesOptions conv;
  bool feat_proj_layer_norm = true;
  double feat_proj_dropout = 0.0;
  std::int64_t num_conv_pos_embeddings = 128;  ///< width of the positional convolution, frames
  std::int64_t num_conv_pos_embedding_groups = 16;
  double layerdrop = 0.1;  ///< chance that a layer is left out, in training
  bool apply_spec_augment = true;
  nn::MaskSpans time_masks{0.05, 10, 2};
  nn::MaskSpans feature_masks{0.0, 10, 0};
  bool use_weighted_layer_sum = false;
  std::int64_t classifier_proj_size = 256;
};

/// Of BERT and RoBERTa, with Transformers' defaults.
struct TextConfig {
  std::int64_t vocab_size = 30522;
  std::int64_t max_position_embeddings = 512;
  std::int64_t type_vocab_size = 2;
  std::int64_t pad_token_id = 0;
  double classifier_dropout = 0.1;
};

/// A config.json of Hugging Face.
struct PretrainedConfig {
  EncoderKind kind = EncoderKind::kHubert;
  nn::TransformerLayerOptions layer;
  std::int64_t num_hidden_layers = 12;
  std::int64_t num_labels = 2;
  std::optional<ProblemType> problem_type;  ///< absent: as rows and labels say
  double initializer_range = 0.02;
  SpeechConfig speech;  ///< of a speech encoder
  TextConfig text;      ///< of a text encoder
  std::string json;     ///< the whole file, for saving
};

/// @param path     a config.json
/// @param replace  keys to set before it is read
/// Every key that changes numbers in Transformers 4.27.1 is honoured or refused.
/// @throws IoError; DataError naming the key for another model, or a value that is not supported;
///   ConfigError for a key of `replace` that this model does not read
PretrainedConfig read_pretrained_config(const std::filesystem::path& path,
                                        const config::Node& replace = config::Node::map());
PretrainedConfig parse_pretrained_config(const std::string& json, const std::string& source);

/// The config.json of a classifier with these labels, which Transformers reads.
/// @param labels  class names in label order; empty: LABEL_0, LABEL_1, …
std::string classifier_json(const PretrainedConfig& config, const std::vector<std::string>& labels);

}  // namespace polyphony::models
