#include <polyphony/models/sequence_classifier.h>

#include <fmt/format.h>
#include <torch/types.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/models/pretrained_folder.h>
#include <polyphony/models/speech_network.h>
#include <polyphony/tensor/autocast.h>

namespace polyphony::models {
namespace fs = std::filesystem;
namespace {

std::string name_of(const SequenceClassifierOptions& options) {
  const bool ours = !options.pretrained_model.empty();
  if (ours == !options.pretrained_model_name_or_path.empty()) {
    throw ConfigError(ours
                          ? "model: pretrained_model and pretrained_model_name_or_path are both set"
                          : "model.pretrained_model: must be given",
                      "write pretrained_model: FOLDER, once");
  }
  return ours ? options.pretrained_model : options.pretrained_model_name_or_path;
}

PretrainedConfig config_of(const fs::path& folder, const SequenceClassifierOptions& options) {
  PretrainedConfig config = read_pretrained_config(folder / "config.json", options.config);
  if (options.num_labels) config.num_labels = *options.num_labels;
  return config;
}

}  // namespace

void SequenceClassifierOptions::describe(config::Fields& f) {
  f("pretrained_model", pretrained_model,
    "folder with config.json and weights in Hugging Face's layout, or the hub's name of a model");
  f("pretrained_model_name_or_path", pretrained_model_name_or_path,
    "the same, by the name Transformers has for it");
  f("num_labels", num_labels, "number of classes; null: as config.json says");
  f.check("num_labels", !num_labels || *num_labels >= 1, "at least 1");
  f("weights", weights, "pretrained: those of the folder; random: drawn from the seed");
  f("config", config, "keys of config.json to replace, e.g. {mask_time_prob: 0.0}");
  f.check("config", config.is_map(), "a mapping");
  f("ignore_mismatched_sizes", ignore_mismatched_sizes,
    "draw weights of another shape than the checkpoint's anew, instead of refusing");
  f("freeze_feature_encoder", freeze_feature_encoder,
    "speech: do not train the convolutional front-end");
  f("freeze_layers", freeze_layers,
    "do not train the embeddings or convolutions and this many layers; null: train all");
  f.check("freeze_layers", !freeze_layers || *freeze_layers >= 0, "at least 0");
  f("gradient_checkpointing", gradient_checkpointing,
    "keep only the input of each layer and compute it again in the backward pass: less memory");
}

SequenceClassifier::SequenceClassifier(const Options& options)
    : folder_(pretrained_folder(name_of(options))), config_(config_of(folder_, options)) {
  make_parts();
  if (options.weights == InitialWeights::kRandom) {
    draw_weights(*this, config_);
  } else {
    report_ = load_weights(
        *this, base_prefix(config_.kind) + ".", config_, WeightFiles(folder_), folder_.string(),
        options.ignore_mismatched_sizes ? Mismatch::kDrawAnew : Mismatch::kRefuse);
    notify(Notice::kNote, report_.text(classifier_class(config_.kind), folder_.string()));
  }
  if (options.freeze_feature_encoder) {
    auto* speech = dynamic_cast<SpeechNetwork*>(encoder_.get());
    if (speech == nullptr) {
      throw ConfigError("model.freeze_feature_encoder: a text encoder has no feature encoder",
                        "use freeze_layers=0 to freeze its embeddings");
    }
    speech->freeze_feature_encoder();
  }
  if (options.freeze_layers) encoder_->freeze_layers(*options.freeze_layers);
  encoder_->checkpoint_gradients(options.gradient_checkpointing);
}

SequenceClassifier::SequenceClassifier(const PretrainedConfig& config) : config_(config) {
  make_parts();
  draw_weights(*this, config_);
}

void SequenceClassifier::make_parts() {
  const std::int64_t dims = config_.layer.dims;
  const std::int64_t labels = config_.num_labels;
  encoder_ = make_encoder_network(config_);
  register_module(base_prefix(config_.kind), std::static_pointer_cast<torch::nn::Module>(encoder_));
  if (is_speech(config_.kind)) {
    const std::int64_t width = config_.speech.classifier_proj_size;
    if (config_.speech.use_weighted_layer_sum) {
      layer_weights_ =
          register_parameter("layer_weights", torch::empty({config_.num_hidden_layers + 1}));
    }
    dense_ = register_module("projector", std::make_shared<nn::Linear>(dims, width));
    classifier_ = register_module("classifier", std::make_shared<nn::Linear>(width, labels));
  } else if (config_.kind == EncoderKind::kBert) {
    dense_ = nn::register_at(*encoder_, "pooler.dense", std::make_shared<nn::Linear>(dims, dims));
    classifier_ = register_module("classifier", std::make_shared<nn::Linear>(dims, labels));
  } else {
    dense_ = nn::register_at(*this, "classifier.dense", std::make_shared<nn::Linear>(dims, dims));
    classifier_ =
        nn::register_at(*this, "classifier.out_proj", std::make_shared<nn::Linear>(dims, labels));
  }
}

at::Tensor SequenceClassifier::speech_head(const EncoderOutput& encoded) const {
  at::Tensor x = encoded.sequence;
  if (layer_weights_.defined()) {
    const at::Tensor shares = at::softmax(layer_weights_, 0).view({-1, 1, 1, 1});
    x = (at::stack(encoded.hidden_states) * shares).sum(0);
  }
  const at::Tensor projected = dense_->forward(x);
  if (!encoded.mask.defined()) return classifier_->forward(projected.mean(1));
  const at::Tensor padding = encoded.mask.logical_not().unsqueeze(2);
  const at::Tensor counts = encoded.mask.sum(1).unsqueeze(1);
  return classifier_->forward(projected.masked_fill(padding, 0.0).sum(1) / counts);
}

at::Tensor SequenceClassifier::head(const EncoderOutput& encoded) const {
  if (is_speech(config_.kind)) return speech_head(encoded);
  const double share = config_.text.classifier_dropout;
  at::Tensor first = encoded.sequence.select(1, 0);
  if (config_.kind != EncoderKind::kBert) first = at::dropout(first, share, is_training());
  const at::Tensor pooled = at::tanh(dense_->forward(first));
  return classifier_->forward(at::dropout(pooled, share, is_training()));
}

Classified SequenceClassifier::classify(const EncoderInput& input, const EncodeOptions& options) {
  EncodeOptions wanted = options;
  wanted.hidden_states = options.hidden_states || layer_weights_.defined();
  Classified result;
  result.encoder = encoder_->encode(input, wanted);
  result.logits = head(result.encoder);
  return result;
}

at::Tensor SequenceClassifier::forward(const data::Batch& batch) {
  EncodeOptions options;
  options.padding = Padding::kTrim;
  if (tensor::autocast_enabled()) options.type = at::kBFloat16;
  // Autocast of LibTorch 1.13.1 fails at layer norms: the layers choose for themselves.
  const c10::impl::ExcludeDispatchKeyGuard chosen(c10::DispatchKey::AutocastCPU);
  return classify(encoder_input(batch, config_), options).logits;
}

void SequenceClassifier::check_targets(std::int64_t labels, bool several) const {
  if (labels != config_.num_labels) {
    throw ConfigError(
        fmt::format("the model has {} labels, but the task {} classes", config_.num_labels, labels),
        fmt::format("write model.num_labels={}", labels));
  }
  // Classifiers of speech have cross-entropy in Transformers, whatever is written.
  if (!config_.problem_type || is_speech(config_.kind)) return;
  const std::string forget = "or model.config={problem_type: null} to train it anew";
  if (*config_.problem_type == ProblemType::kRegression) {
    throw ConfigError(
        "the model's config.json says problem_type regression, which no task here has",
        "take another model, " + forget);
  }
  if (several != (*config_.problem_type == ProblemType::kMultiLabel)) {
    throw ConfigError(
        fmt::format("the model's config.json says problem_type {}_label_classification, but "
                    "task.multi_label is {}",
                    several ? "single" : "multi", several),
        fmt::format("set task.multi_label and dataset.multi_label to {}, {}", !several, forget));
  }
}

std::vector<std::string> SequenceClassifier::inputs() const {
  return {is_speech(config_.kind) ? "input_values" : "input_ids"};
}

void SequenceClassifier::save_pretrained(const fs::path& folder,
                                         const std::vector<std::string>& labels) const {
  if (!labels.empty() && labels.size() != static_cast<std::size_t>(config_.num_labels)) {
    throw ConfigError(
        fmt::format("{} class names for a model with {} labels", labels.size(), config_.num_labels),
        "give one name for each label");
  }
  make_directory(folder);
  if (!folder_.empty() && !fs::equivalent(folder_, folder)) copy_companions(folder_, folder);
  write_file(folder / "config.json", classifier_json(config_, labels));
  tensor::save_safetensors(folder / "model.safetensors", weights_of(*this), {{"format", "pt"}});
}

namespace {

/// bool [batch, positions], true in each row's first `lengths` positions.
at::Tensor first_positions(const at::Tensor& lengths, std::int64_t positions) {
  return torch::arange(positions, torch::kLong).unsqueeze(0).lt(lengths.unsqueeze(1));
}

}  // namespace

EncoderInput encoder_input(const data::Batch& batch, const PretrainedConfig& config) {
  const std::string name = is_speech(config.kind) ? "input_values" : "input_ids";
  EncoderInput result;
  result.values = input(batch, name);
  if (batch.has("attention_mask")) {
    result.attention_mask = batch.at("attention_mask");
    // Transformers asks a speech encoder's mask for its number of ones alone: where they stand,
    // on the right too, changes nothing.
    if (is_speech(config.kind) && result.attention_mask.sizes() == result.values.sizes()) {
      const at::Tensor lengths = result.attention_mask.ne(0).sum(1);
      result.attention_mask = first_positions(lengths, result.values.size(1));
    }
  } else if (batch.has(name + "_length")) {
    result.attention_mask = first_positions(batch.at(name + "_length"), result.values.size(1));
    // Collation pads with 0, which a vocabulary may give a token.
    if (!is_speech(config.kind)) {
      result.values =
          result.values.masked_fill(result.attention_mask.logical_not(), config.text.pad_token_id);
    }
  }
  if (!is_speech(config.kind) && batch.has("token_type_ids"))
    result.token_type_ids = batch.at("token_type_ids");
  return result;
}

POLYPHONY_REGISTER(Model, SequenceClassifier, "polyphony.models.SequenceClassifier",
                   "a pretrained HuBERT, wav2vec 2.0, BERT, RoBERTa or XLM-R and a "
                   "classification head")

}  // namespace polyphony::models
