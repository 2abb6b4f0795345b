// Keys of config.json: what changes numbers in Transformers 4.27.1 is honoured, or refused by name.
#include <polyphony/models/pretrained_config.h>

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/yaml/yaml.h>

#include "scratch.h"

namespace polyphony::models {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

PretrainedConfig config_of(const std::string& type, json keys) {
  keys["model_type"] = type;
  return parse_pretrained_config(keys.dump(), "DIR/config.json");
}

/// What and remedy.
std::string complaint(const std::string& type, const json& keys) {
  try {
    config_of(type, keys);
  } catch (const DataError& error) {
    return std::string(error.what()) + " | " + error.remedy();
  }
  return "no error";
}

TEST(PretrainedConfig, DefaultsAreThoseOfTransformers) {
  const PretrainedConfig hubert = config_of("hubert", json::object());
  EXPECT_EQ(hubert.layer.dims, 768);
  EXPECT_EQ(hubert.layer.norm_eps, 1e-5);
  EXPECT_EQ(hubert.layer.activation_dropout, 0.1);
  EXPECT_EQ(hubert.speech.layerdrop, 0.1);
  EXPECT_EQ(hubert.speech.time_masks.prob, 0.05);
  EXPECT_EQ(hubert.speech.time_masks.min_masks, 2);
  EXPECT_EQ(hubert.speech.classifier_proj_size, 256);
  EXPECT_EQ(hubert.num_labels, 2);
  const PretrainedConfig roberta = config_of("roberta", json::object());
  EXPECT_EQ(roberta.layer.norm_eps, 1e-12);
  EXPECT_EQ(roberta.text.pad_token_id, 1);
  EXPECT_EQ(roberta.text.classifier_dropout, 0.1);
  EXPECT_EQ(config_of("bert", json::object()).text.pad_token_id, 0);
  EXPECT_EQ(config_of("xlm-roberta", json::object()).text.vocab_size, 30522);
}

TEST(PretrainedConfig, DropoutsOfTheHeadAndTheLayersAreHonoured) {
  const PretrainedConfig own = config_of("bert", {{"classifier_dropout", 0.3}});
  EXPECT_EQ(own.text.classifier_dropout, 0.3);
  const PretrainedConfig none =
      config_of("bert", {{"classifier_dropout", nullptr}, {"hidden_dropout_prob", 0.25}});
  EXPECT_EQ(none.text.classifier_dropout, 0.25);
  EXPECT_EQ(none.layer.hidden_dropout, 0.25);
  const PretrainedConfig speech = config_of("wav2vec2", {{"hidden_dropout", 0.2},
                                                         {"attention_dropout", 0.3},
                                                         {"activation_dropout", 0.4},
                                                         {"feat_proj_dropout", 0.5},
                                                         {"layerdrop", 0.6},
                                                         {"final_dropout", 0.7}});
  EXPECT_EQ(speech.layer.hidden_dropout, 0.2);
  EXPECT_EQ(speech.layer.attention_dropout, 0.3);
  EXPECT_EQ(speech.layer.activation_dropout, 0.4);
  EXPECT_EQ(speech.speech.feat_proj_dropout, 0.5);
  EXPECT_EQ(speech.speech.layerdrop, 0.6);
}

TEST(PretrainedConfig, ActivationsGoByTransformersNames) {
  const auto of = [](const char* name) {
    return config_of("hubert", {{"hidden_act", name}, {"feat_extract_activation", name}});
  };
  for (const char* name : {"gelu", "gelu_python"}) {
    EXPECT_EQ(of(name).layer.activation, nn::Activation::kGelu) << name;
  }
  for (const char* name : {"gelu_new", "gelu_fast", "gelu_pytorch_tanh"}) {
    EXPECT_EQ(of(name).speech.conv.activation, nn::Activation::kGeluTanh) << name;
  }
  EXPECT_EQ(of("swish").layer.activation, nn::Activation::kSilu);
  for (const char* name : {"quick_gelu", "gelu_10", "mish", "relu6", "sigmoid", "linear", "GELU"}) {
    EXPECT_THAT(complaint("roberta", {{"hidden_act", name}}),
                AllOf(HasSubstr(std::string("DIR/config.json: hidden_act is '") + name + "'"),
                      HasSubstr("take a model with one of gelu, ")));
    EXPECT_THAT(complaint("wav2vec2", {{"feat_extract_activation", name}}),
                HasSubstr("feat_extract_activation is '"));
  }
}

TEST(PretrainedConfig, WhatIsNotBuiltIsRefusedByName) {
  struct Refused {
    std::string type;
    json keys;
    std::string said;
  };
  const std::vector<Refused> all = {
      {"bert", {{"position_embedding_type", "relative_key"}}, "is 'relative_key'"},
      {"xlm-roberta", {{"position_embedding_type", "relative_key_query"}}, "absolute positions"},
      {"bert", {{"is_decoder", true}}, "is_decoder is true"},
      {"roberta", {{"add_cross_attention", true}}, "take an encoder"},
      {"bert", {{"pruned_heads", {{"0", {1, 2}}}}}, "before its heads were pruned"},
      {"roberta", {{"quantization_config", {{"load_in_8bit", true}}}}, "quantized weights"},
      {"wav2vec2", {{"add_adapter", true}}, "take the model without"},
      {"hubert", {{"conv_pos_batch_norm", true}}, "weight-normed positional convolutions"},
      {"wav2vec2", {{"adapter_attn_dim", 16}}, "adapters of languages"},
  };
  for (const Refused& one : all) {
    EXPECT_THAT(
        complaint(one.type, one.keys),
        AllOf(HasSubstr("DIR/config.json: " + one.keys.begin().key()), HasSubstr(one.said)));
  }
  const json harmless = {{"is_decoder", false},
                         {"pruned_heads", json::object()},
                         {"add_adapter", nullptr},
                         {"quantization_config", nullptr},
                         {"gradient_checkpointing", true},
                         {"torch_dtype", "float16"},
                         {"chunk_size_feed_forward", 8},
                         {"use_cache", true}};
  EXPECT_EQ(complaint("bert", harmless), "no error");
  EXPECT_EQ(complaint("wav2vec2", harmless), "no error");
}

TEST(PretrainedConfig, ValuesOfAnotherTypeOrRangeAreNamed) {
  struct Wrong {
    std::string type;
    json keys;
    std::string said;
  };
  const std::vector<Wrong> all = {
      {"bert", {{"hidden_size", "768"}}, "is \"768\", want a whole number"},
      {"bert", {{"hidden_size", true}}, "want a whole number"},
      {"bert", {{"hidden_size", 8.5}}, "want a whole number"},
      {"bert", {{"hidden_size", nullptr}}, "is null, want a value"},
      {"bert", {{"num_attention_heads", 5}}, "does not divide hidden_size 768"},
      {"bert", {{"layer_norm_eps", -1e-5}}, "want at least 0"},
      {"bert", {{"initializer_range", "0.02"}}, "want a number"},
      {"bert", {{"hidden_dropout_prob", 1.5}}, "want 0 to 1"},
      {"bert", {{"classifier_dropout", "none"}}, "want a number"},
      {"bert", {{"pad_token_id", 30522}}, "beyond vocab_size 30522"},
      {"roberta", {{"pad_token_id", nullptr}}, "is null, want a value"},
      {"hubert", {{"conv_dim", {512, 512}}}, "has 2 layers"},
      {"hubert", {{"conv_kernel", {10, 3, 3, 3, 3, 2, 2.5}}}, "want a list of whole numbers"},
      {"hubert", {{"conv_stride", {5, 2, 2, 2, 2, 2, 0}}}, "holds 0, want at least 1"},
      {"hubert", {{"conv_bias", 1}}, "want true or false"},
      {"hubert", {{"feat_extract_norm", "batch"}}, "want group or layer"},
      {"hubert", {{"num_conv_pos_embedding_groups", 7}}, "does not divide hidden_size"},
      {"hubert", {{"mask_time_length", 0}}, "want at least 1"},
      {"hubert", {{"layerdrop", -0.1}}, "want at least 0"},
      {"bert", {{"id2label", {"a", "b"}}}, "want a mapping from numbers to names"},
      {"bert", {{"id2label", json::object()}}, "want a mapping from numbers to names"},
      {"bert", {{"id2label", {{"angry", 0}}}}, "has the key 'angry', want a number"},
      {"bert", {{"label2id", {1, 2}}}, "no mapping from names"},
      {"bert", {{"problem_type", "ranking"}}, "is 'ranking', want regression, single_label"},
  };
  for (const Wrong& one : all) {
    EXPECT_THAT(
        complaint(one.type, one.keys),
        AllOf(HasSubstr("DIR/config.json: " + one.keys.begin().key()), HasSubstr(one.said)));
  }
}

TEST(PretrainedConfig, NullIsFalseForSwitches) {
  const PretrainedConfig config =
      config_of("hubert", {{"apply_spec_augment", nullptr}, {"feat_proj_layer_norm", nullptr}});
  EXPECT_FALSE(config.speech.apply_spec_augment);
  EXPECT_FALSE(config.speech.feat_proj_layer_norm);
}

TEST(PretrainedConfig, LabelsAreThoseOfId2label) {
  EXPECT_EQ(config_of("bert", {{"num_labels", 5}}).num_labels, 5);
  EXPECT_EQ(config_of("bert", {{"num_labels", 1}}).num_labels, 1);
  const json three = {{"id2label", {{"0", "a"}, {"1", "b"}, {"2", "c"}}}, {"num_labels", 5}};
  EXPECT_EQ(config_of("bert", three).num_labels, 3);
  EXPECT_FALSE(config_of("bert", three).problem_type.has_value());
  EXPECT_EQ(config_of("bert", {{"problem_type", "multi_label_classification"}}).problem_type,
            ProblemType::kMultiLabel);
}

class Replaced : public testing::Test {
 protected:
  PretrainedConfig with(const std::string& yaml) const {
    const auto path = scratch_directory() / "replaced.json";
    write_file(path, std::string_view(R"({"model_type": "hubert", "hidden_dropout": 0.3,
      "problem_type": "regression", "id2label": {"0": "a", "1": "b", "2": "c"}})"));
    return read_pretrained_config(path, config::parse_yaml(yaml, "test"));
  }
};

TEST_F(Replaced, KeysOfTheFileAreReplaced) {
  const PretrainedConfig config =
      with("hidden_dropout: 0.0\nconv_bias: true\nproblem_type: null\n");
  EXPECT_EQ(config.layer.hidden_dropout, 0.0);
  EXPECT_TRUE(config.speech.conv.bias);
  EXPECT_FALSE(config.problem_type.has_value());
  EXPECT_EQ(config.num_labels, 3);
}

TEST_F(Replaced, ANumberOfLabelsReplacesTheNames) {
  const PretrainedConfig config = with("num_labels: 5\n");
  EXPECT_EQ(config.num_labels, 5);
  EXPECT_EQ(json::parse(classifier_json(config, {})).at("id2label").at("4"), "LABEL_4");
}

TEST_F(Replaced, AKeyThatNobodyReadsIsRefused) {
  try {
    with("hidden_dropout_prob: 0.1\n");
    FAIL() << "was taken";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("model.config.hidden_dropout_prob: this model reads no"));
    EXPECT_THAT(error.remedy(), HasSubstr("did you mean 'hidden_dropout'?"));
  }
}

}  // namespace
}  // namespace polyphony::models
