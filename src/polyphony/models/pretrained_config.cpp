#include <polyphony/models/pretrained_config.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/json.h>
#include <polyphony/base/nearest.h>
#include <polyphony/config/bind/fields.h>
#include <polyphony/models/config_reader.h>

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

constexpr std::pair<const char*, ProblemType> kProblemTypes[] = {
    {"regression", ProblemType::kRegression},
    {"single_label_classification", ProblemType::kSingleLabel},
    {"multi_label_classification", ProblemType::kMultiLabel}};

EncoderKind kind_of(const ConfigReader& reader, const std::string& source) {
  std::string type;
  reader.text("model_type", type);
  std::vector<std::string> names;
  for (const Family& family : kFamilies) {
    if (type == family.model_type) return family.kind;
    names.emplace_back(family.model_type);
  }
  throw DataError(type.empty() ? fmt::format("{}: no model_type", source)
                               : fmt::format("{}: model_type is '{}'", source, type),
                  fmt::format("give a folder of one of: {}", fmt::join(names, ", ")));
}

/// Options of any family that change numbers and are not built.
void refuse_unbuilt(const ConfigReader& reader) {
  reader.refuse("pruned_heads", "take the model before its heads were pruned");
  reader.refuse("quantization_config",
                "quantized weights are not read: take the model in float32, float16 or bfloat16");
}

void read_layer(const ConfigReader& reader, PretrainedConfig& config) {
  nn::TransformerLayerOptions& layer = config.layer;
  const bool speech = is_speech(config.kind);
  layer.names = speech ? nn::LayerNames::kSpeech : nn::LayerNames::kText;
  layer.norm_eps = speech ? 1e-5 : 1e-12;
  layer.activation_dropout = speech ? 0.1 : 0.0;
  reader.count("hidden_size", layer.dims);
  reader.count("num_attention_heads", layer.heads);
  reader.check("num_attention_heads", layer.dims % layer.heads == 0,
               fmt::format("is {}, which does not divide hidden_size {}", layer.heads, layer.dims));
  reader.count("intermediate_size", layer.intermediate);
  reader.count("num_hidden_layers", config.num_hidden_layers, 0);
  reader.number("layer_norm_eps", layer.norm_eps);
  reader.activation("hidden_act", layer.activation);
  reader.number("initializer_range", config.initializer_range);
  if (speech) {
    bool stable = false;
    reader.flag("do_stable_layer_norm", stable);
    if (stable) layer.norm = nn::NormPlace::kBefore;
    reader.share("attention_dropout", layer.attention_dropout);
    reader.share("hidden_dropout", layer.hidden_dropout);
    reader.share("activation_dropout", layer.activation_dropout);
  } else {
    reader.share("attention_probs_dropout_prob", layer.attention_dropout);
    reader.share("hidden_dropout_prob", layer.hidden_dropout);
  }
}

void read_convolutions(const ConfigReader& reader, nn::ConvFeaturesOptions& conv) {
  std::vector<std::int64_t> dims = conv.dims();
  std::vector<std::int64_t> kernels = conv.kernels();
  std::vector<std::int64_t> strides = conv.strides();
  reader.counts("conv_dim", dims);
  reader.counts("conv_kernel", kernels);
  reader.counts("conv_stride", strides);
  reader.check("conv_dim",
               !dims.empty() && dims.size() == kernels.size() && dims.size() == strides.size(),
               fmt::format("has {} layers, conv_kernel {} and conv_stride {}", dims.size(),
                           kernels.size(), strides.size()));
  conv.layers.clear();
  for (std::size_t i = 0; i < dims.size(); ++i) {
    conv.layers.push_back({dims[i], kernels[i], strides[i]});
  }
  reader.flag("conv_bias", conv.bias);
  reader.activation("feat_extract_activation", conv.activation);
  std::string norm = "group";
  reader.text("feat_extract_norm", norm);
  reader.check("feat_extract_norm", norm == "group" || norm == "layer",
               fmt::format("is '{}', want group or layer", norm));
  conv.norm = norm == "group" ? nn::FeatureNorm::kGroup : nn::FeatureNorm::kLayer;
}

void read_masks(const ConfigReader& reader, SpeechConfig& speech) {
  reader.flag("apply_spec_augment", speech.apply_spec_augment);
  reader.share("mask_time_prob", speech.time_masks.prob);
  reader.count("mask_time_length", speech.time_masks.length);
  reader.count("mask_time_min_masks", speech.time_masks.min_masks, 0);
  reader.share("mask_feature_prob", speech.feature_masks.prob);
  reader.count("mask_feature_length", speech.feature_masks.length);
  reader.count("mask_feature_min_masks", speech.feature_masks.min_masks, 0);
}

void read_speech(const ConfigReader& reader, SpeechConfig& speech, std::int64_t dims) {
  read_convolutions(reader, speech.conv);
  reader.flag("feat_proj_layer_norm", speech.feat_proj_layer_norm);
  reader.share("feat_proj_dropout", speech.feat_proj_dropout);
  reader.count("num_conv_pos_embeddings", speech.num_conv_pos_embeddings);
  reader.count("num_conv_pos_embedding_groups", speech.num_conv_pos_embedding_groups);
  reader.check("num_conv_pos_embedding_groups", dims % speech.num_conv_pos_embedding_groups == 0,
               fmt::format("is {}, which does not divide hidden_size {}",
                           speech.num_conv_pos_embedding_groups, dims));
  reader.share("layerdrop", speech.layerdrop);
  read_masks(reader, speech);
  reader.flag("use_weighted_layer_sum", speech.use_weighted_layer_sum);
  reader.count("classifier_proj_size", speech.classifier_proj_size);
  reader.refuse("add_adapter",
                "Transformers' classifiers refuse adapters too: take the model without");
  reader.refuse("conv_pos_batch_norm",
                "only weight-normed positional convolutions are built: take a model with one");
  reader.refuse("adapter_attn_dim", "take a model without adapters of languages in its layers");
}

void read_text(const ConfigReader& reader, PretrainedConfig& config) {
  TextConfig& text = config.text;
  text.pad_token_id = config.kind == EncoderKind::kBert ? 0 : 1;
  reader.count("vocab_size", text.vocab_size);
  reader.count("max_position_embeddings", text.max_position_embeddings);
  reader.count("type_vocab_size", text.type_vocab_size);
  reader.count("pad_token_id", text.pad_token_id, 0);
  reader.check("pad_token_id", text.pad_token_id < text.vocab_size,
               fmt::format("is {}, beyond vocab_size {}", text.pad_token_id, text.vocab_size));
  text.classifier_dropout = config.layer.hidden_dropout;
  reader.share_or_null("classifier_dropout", text.classifier_dropout);
  std::string positions = "absolute";
  reader.text("position_embedding_type", positions);
  if (positions != "absolute") {
    reader.fail("position_embedding_type",
                fmt::format("is '{}', which is not supported", positions),
                "take a model with absolute positions");
  }
  const std::string encoder = "take an encoder; a decoder's mask would hide what follows";
  reader.refuse("is_decoder", encoder);
  reader.refuse("add_cross_attention", encoder);
}

/// Source: PretrainedConfig of Transformers 4.27.1.
void read_labels(const ConfigReader& reader, PretrainedConfig& config) {
  if (reader.find("num_labels") != nullptr) reader.count("num_labels", config.num_labels);
  const Json* names = reader.find("id2label");
  const Json* numbers = reader.find("label2id");
  if (names != nullptr) {
    reader.check("id2label", names->is_object() && !names->empty(),
                 fmt::format("is {}, want a mapping from numbers to names", names->dump()));
    for (const auto& [number, name] : names->items()) {
      const bool whole = number.find_first_not_of("0123456789") == std::string::npos;
      reader.check("id2label", whole && !number.empty(),
                   fmt::format("has the key '{}', want a number from 0", number));
    }
    config.num_labels = static_cast<std::int64_t>(names->size());
  }
  reader.check("label2id", numbers == nullptr || numbers->is_object(),
               "is no mapping from names to numbers");
  if (reader.find("problem_type") == nullptr) return;
  std::string type;
  reader.text("problem_type", type);
  std::vector<std::string> types;
  for (const auto& [known, problem] : kProblemTypes) {
    if (type == known) config.problem_type = problem;
    types.emplace_back(known);
  }
  reader.check("problem_type", config.problem_type.has_value(),
               fmt::format("is '{}', want {} or null", type, fmt::join(types, ", ")));
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

namespace {

PretrainedConfig read_config(const std::string& text, const std::string& source,
                             std::set<std::string>* asked) {
  Json parsed = parse_json(text, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    throw DataError(fmt::format("{}: no JSON object", source),
                    "the file is damaged or of another kind: copy it again");
  }
  const ConfigReader reader(parsed, source);
  PretrainedConfig config;
  config.kind = kind_of(reader, source);
  config.json = text;
  refuse_unbuilt(reader);
  read_layer(reader, config);
  read_labels(reader, config);
  if (is_speech(config.kind)) {
    read_speech(reader, config.speech, config.layer.dims);
  } else {
    read_text(reader, config);
  }
  if (asked != nullptr) *asked = reader.asked();
  return config;
}

/// @throws ConfigError for a key that nobody reads, naming the nearest that is
void check_replaced(const config::Node& replace, const std::set<std::string>& asked) {
  for (const auto& [key, value] : replace.entries()) {
    const std::string name = config::show(key);
    if (asked.contains(name)) continue;
    const std::vector<std::string> known(asked.begin(), asked.end());
    const std::string nearest = base::nearest(name, known);
    throw ConfigError(
        fmt::format("model.config.{}: this model reads no such key", name),
        fmt::format("{}keys: {}",
                    nearest.empty() ? "" : fmt::format("did you mean '{}'? ", nearest),
                    fmt::join(known, ", ")));
  }
}

}  // namespace

PretrainedConfig parse_pretrained_config(const std::string& json, const std::string& source) {
  return read_config(json, source, nullptr);
}

PretrainedConfig read_pretrained_config(const std::filesystem::path& path,
                                        const config::Node& replace) {
  const std::string text = read_file(path);
  if (replace.entries().empty()) return parse_pretrained_config(text, path.string());
  auto json = parse_ordered_json(text, /*allow_exceptions=*/false);
  if (json.is_object()) {
    // The names that are there would say how many labels there are.
    if (replace.find("num_labels") != nullptr) json.erase("id2label"), json.erase("label2id");
    json.update(json_of(replace));
  }
  std::set<std::string> asked;
  PretrainedConfig config = read_config(json.dump(2), path.string(), &asked);
  check_replaced(replace, asked);
  return config;
}

std::string classifier_json(const PretrainedConfig& config,
                            const std::vector<std::string>& labels) {
  nlohmann::ordered_json json = parse_ordered_json(config.json);
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
