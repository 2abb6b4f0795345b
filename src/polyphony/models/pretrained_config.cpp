#include <polyphony/models/pretrained_config.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/fields.h>

namespace polyphony::models {
namespace {

using Json = nlohmann::json;

struct Family {
  const char* model_type;
  EncoderKind kind;
  const char* prefix;
  const char* classifier;
};
constexpr Family kFamilies[] = {
    {"hubert", EncoderKind::kHubert, "hubert", "HubertForSequenceClassification"},
    {"wav2vec2", EncoderKind::kWav2Vec2, "wav2vec2", "Wav2Vec2ForSequenceClassification"},
    {"bert", EncoderKind::kBert, "bert", "BertForSequenceClassification"},
    {"roberta", EncoderKind::kRoberta, "roberta", "RobertaForSequenceClassification"},
    {"xlm-roberta", EncoderKind::kXlmRoberta, "roberta", "XLMRobertaForSequenceClassification"}};

const Family& family_of(EncoderKind kind) {
  return *std::find_if(std::begin(kFamilies), std::end(kFamilies),
                       [kind](const Family& family) { return family.kind == kind; });
}

constexpr std::pair<const char*, nn::Activation> kActivations[] = {
    {"gelu", nn::Activation::kGelu},
    {"gelu_new", nn::Activation::kGeluTanh},
    {"gelu_pytorch_tanh", nn::Activation::kGeluTanh},
    {"relu", nn::Activation::kRelu},
    {"silu", nn::Activation::kSilu},
    {"swish", nn::Activation::kSilu},
    {"tanh", nn::Activation::kTanh}};

/// Reads keys of a config.json, each checked where it is read.
class Reader {
 public:
  Reader(const Json& json, std::string source) : json_(json), source_(std::move(source)) {}

  template <class T>
  void operator()(const char* key, T& value) const {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) return;
    try {
      found->get_to(value);
    } catch (const Json::exception&) {
      fail(key, fmt::format("is {}, which is not of the right type", found->dump()));
    }
  }

  void count(const char* key, std::int64_t& value, std::int64_t least = 1) const {
    double number = static_cast<double>(value);
    (*this)(key, number);
    if (number != static_cast<double>(static_cast<std::int64_t>(number)))
      fail(key, fmt::format("is {}, want a whole number", number));
    value = static_cast<std::int64_t>(number);
    check(key, value >= least, fmt::format("is {}, want at least {}", value, least));
  }

  void share(const char* key, double& value) const {
    (*this)(key, value);
    check(key, value >= 0 && value <= 1, fmt::format("is {}, want 0 to 1", value));
  }

  void activation(const char* key, nn::Activation& value) const {
    std::string name;
    (*this)(key, name);
    if (name.empty()) return;
    for (const auto& [known, item] : kActivations) {
      if (name == known) {
        value = item;
        return;
      }
    }
    std::vector<std::string> names;
    for (const auto& [known, item] : kActivations) names.emplace_back(known);
    fail(key, fmt::format("is '{}', but this reads {}", name, fmt::join(names, ", ")));
  }

  /// Refuses a feature that is not built. @param wanted  its only value here
  template <class T>
  void only(const char* key, const T& wanted) const {
    T value = wanted;
    (*this)(key, value);
    if (value != wanted)
      fail(key, fmt::format("is {}, which is not supported", json_.at(key).dump()));
  }

  void check(const char* key, bool holds, const std::string& what) const {
    if (!holds) fail(key, what);
  }

  [[noreturn]] void fail(const char* key, const std::string& what) const {
    throw DataError(fmt::format("{}: {} {}", source_, key, what),
                    "take the config.json that belongs to the weights, or another model");
  }

  const Json& json() const { return json_; }

 private:
  const Json& json_;
  std::string source_;
};

EncoderKind kind_of(const Reader& reader, const std::string& source) {
  std::string type;
  reader("model_type", type);
  std::vector<std::string> names;
  for (const Family& family : kFamilies) {
    if (type == family.model_type) return family.kind;
    names.emplace_back(family.model_type);
  }
  throw DataError(type.empty() ? fmt::format("{}: no model_type", source)
                               : fmt::format("{}: model_type is '{}'", source, type),
                  fmt::format("give a folder of one of: {}", fmt::join(names, ", ")));
}

void read_layer(const Reader& reader, PretrainedConfig& config) {
  nn::TransformerLayerOptions& layer = config.layer;
  const bool speech = is_speech(config.kind);
  layer.names = speech ? nn::LayerNames::kSpeech : nn::LayerNames::kText;
  layer.norm_eps = config.kind == EncoderKind::kBert || config.kind == EncoderKind::kRoberta ||
                           config.kind == EncoderKind::kXlmRoberta
                       ? 1e-12
                       : 1e-5;
  layer.activation_dropout = speech ? 0.1 : 0.0;
  reader.count("hidden_size", layer.dims);
  reader.count("num_attention_heads", layer.heads);
  reader.check("num_attention_heads", layer.dims % layer.heads == 0,
               fmt::format("is {}, which does not divide hidden_size {}", layer.heads, layer.dims));
  reader.count("intermediate_size", layer.intermediate);
  reader.count("num_hidden_layers", config.num_hidden_layers, 0);
  reader("layer_norm_eps", layer.norm_eps);
  reader.activation("hidden_act", layer.activation);
  reader("initializer_range", config.initializer_range);
  if (speech) {
    bool stable = false;
    reader("do_stable_layer_norm", stable);
    if (stable) layer.norm = nn::NormPlace::kBefore;
    reader.share("attention_dropout", layer.attention_dropout);
    reader.share("hidden_dropout", layer.hidden_dropout);
    reader.share("activation_dropout", layer.activation_dropout);
  } else {
    reader.share("attention_probs_dropout_prob", layer.attention_dropout);
    reader.share("hidden_dropout_prob", layer.hidden_dropout);
  }
}

void read_convolutions(const Reader& reader, nn::ConvFeaturesOptions& conv) {
  std::vector<std::int64_t> dims = conv.dims();
  std::vector<std::int64_t> kernels = conv.kernels();
  std::vector<std::int64_t> strides = conv.strides();
  reader("conv_dim", dims);
  reader("conv_kernel", kernels);
  reader("conv_stride", strides);
  reader.check("conv_dim",
               !dims.empty() && dims.size() == kernels.size() && dims.size() == strides.size(),
               fmt::format("has {} layers, conv_kernel {} and conv_stride {}", dims.size(),
                           kernels.size(), strides.size()));
  conv.layers.clear();
  for (std::size_t i = 0; i < dims.size(); ++i) {
    reader.check("conv_dim", dims[i] >= 1 && kernels[i] >= 1 && strides[i] >= 1,
                 "and conv_kernel and conv_stride must be at least 1");
    conv.layers.push_back({dims[i], kernels[i], strides[i]});
  }
  reader("conv_bias", conv.bias);
  reader.activation("feat_extract_activation", conv.activation);
  std::string norm = "group";
  reader("feat_extract_norm", norm);
  reader.check("feat_extract_norm", norm == "group" || norm == "layer",
               fmt::format("is '{}', want group or layer", norm));
  conv.norm = norm == "group" ? nn::FeatureNorm::kGroup : nn::FeatureNorm::kLayer;
}

void read_speech(const Reader& reader, SpeechConfig& speech, std::int64_t dims) {
  read_convolutions(reader, speech.conv);
  reader("feat_proj_layer_norm", speech.feat_proj_layer_norm);
  reader.share("feat_proj_dropout", speech.feat_proj_dropout);
  reader.count("num_conv_pos_embeddings", speech.num_conv_pos_embeddings);
  reader.count("num_conv_pos_embedding_groups", speech.num_conv_pos_embedding_groups);
  reader.check("num_conv_pos_embedding_groups", dims % speech.num_conv_pos_embedding_groups == 0,
               fmt::format("is {}, which does not divide hidden_size {}",
                           speech.num_conv_pos_embedding_groups, dims));
  reader.share("layerdrop", speech.layerdrop);
  reader("apply_spec_augment", speech.apply_spec_augment);
  reader.share("mask_time_prob", speech.time_masks.prob);
  reader.count("mask_time_length", speech.time_masks.length);
  reader.count("mask_time_min_masks", speech.time_masks.min_masks, 0);
  reader.share("mask_feature_prob", speech.feature_masks.prob);
  reader.count("mask_feature_length", speech.feature_masks.length);
  reader.count("mask_feature_min_masks", speech.feature_masks.min_masks, 0);
  reader("use_weighted_layer_sum", speech.use_weighted_layer_sum);
  reader.count("classifier_proj_size", speech.classifier_proj_size);
  reader.only("add_adapter", false);
}

void read_text(const Reader& reader, PretrainedConfig& config) {
  TextConfig& text = config.text;
  text.pad_token_id = config.kind == EncoderKind::kBert ? 0 : 1;
  reader.count("vocab_size", text.vocab_size);
  reader.count("max_position_embeddings", text.max_position_embeddings);
  reader.count("type_vocab_size", text.type_vocab_size);
  reader.count("pad_token_id", text.pad_token_id, 0);
  reader.check("pad_token_id", text.pad_token_id < text.vocab_size,
               fmt::format("is {}, beyond vocab_size {}", text.pad_token_id, text.vocab_size));
  text.classifier_dropout = config.layer.hidden_dropout;
  reader.share("classifier_dropout", text.classifier_dropout);
  reader.only<std::string>("position_embedding_type", "absolute");
  reader.only("is_decoder", false);
  reader.only("add_cross_attention", false);
}

void read_labels(const Reader& reader, PretrainedConfig& config) {
  reader.count("num_labels", config.num_labels);
  const auto names = reader.json().find("id2label");
  if (names != reader.json().end() && names->is_object() && !names->empty()) {
    config.num_labels = static_cast<std::int64_t>(names->size());
  }
}

nlohmann::ordered_json json_of(const config::Node& node) {
  switch (node.kind()) {
    case config::Node::Kind::kNull:
      return nullptr;
    case config::Node::Kind::kBool:
      return node.as_bool();
    case config::Node::Kind::kInt:
      return node.as_int();
    case config::Node::Kind::kFloat:
      return node.as_float();
    case config::Node::Kind::kString:
      return node.as_string();
    case config::Node::Kind::kList: {
      auto list = nlohmann::ordered_json::array();
      for (const config::Node& item : node.items()) list.push_back(json_of(item));
      return list;
    }
    case config::Node::Kind::kMap:
      break;
  }
  auto map = nlohmann::ordered_json::object();
  for (const auto& [key, value] : node.entries()) map[config::show(key)] = json_of(value);
  return map;
}

}  // namespace

bool is_speech(EncoderKind kind) {
  return kind == EncoderKind::kHubert || kind == EncoderKind::kWav2Vec2;
}

std::string classifier_class(EncoderKind kind) { return family_of(kind).classifier; }
std::string base_prefix(EncoderKind kind) { return family_of(kind).prefix; }

PretrainedConfig parse_pretrained_config(const std::string& json, const std::string& source) {
  Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    throw DataError(fmt::format("{}: no JSON object", source),
                    "the file is damaged or of another kind: copy it again");
  }
  const Reader reader(parsed, source);
  PretrainedConfig config;
  config.kind = kind_of(reader, source);
  config.json = json;
  read_layer(reader, config);
  read_labels(reader, config);
  if (is_speech(config.kind)) {
    read_speech(reader, config.speech, config.layer.dims);
  } else {
    read_text(reader, config);
  }
  return config;
}

PretrainedConfig read_pretrained_config(const std::filesystem::path& path,
                                        const config::Node& replace) {
  const std::string text = read_file(path);
  if (replace.entries().empty()) return parse_pretrained_config(text, path.string());
  auto json = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) json.update(json_of(replace));
  return parse_pretrained_config(json.dump(2), path.string());
}

std::string classifier_json(const PretrainedConfig& config,
                            const std::vector<std::string>& labels) {
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(config.json);
  nlohmann::ordered_json names = nlohmann::ordered_json::object();
  nlohmann::ordered_json numbers = nlohmann::ordered_json::object();
  const auto old = json.find("id2label");
  const bool keep = labels.empty() && old != json.end() &&
                    old->size() == static_cast<std::size_t>(config.num_labels);
  if (!keep) {
    for (std::int64_t i = 0; i < config.num_labels; ++i) {
      const std::string name =
          labels.empty() ? fmt::format("LABEL_{}", i) : labels[static_cast<std::size_t>(i)];
      names[std::to_string(i)] = name;
      numbers[name] = i;
    }
    json["id2label"] = names;
    json["label2id"] = numbers;
  }
  json.erase("num_labels");
  json["architectures"] = {classifier_class(config.kind)};
  json["torch_dtype"] = "float32";
  return json.dump(2) + "\n";
}

}  // namespace polyphony::models
