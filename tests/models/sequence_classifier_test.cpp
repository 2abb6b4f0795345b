#include <polyphony/models/sequence_classifier.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <torch/types.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/bind/instantiate.h>
#include <polyphony/models/pretrained_encoder.h>
#include <polyphony/models/pretrained_folder.h>
#include <polyphony/tensor/autocast.h>
#include <polyphony/tensor/seed.h>

#include "scratch.h"

namespace polyphony::models {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const fs::path kHubert = POLYPHONY_TEST_DIR "/golden/hf/hubert_stable_masked";
const fs::path kHubertBase = POLYPHONY_TEST_DIR "/golden/hf/hubert_base_nomask";
const fs::path kBert = POLYPHONY_TEST_DIR "/golden/hf/bert_masked";
const fs::path kRoberta = POLYPHONY_TEST_DIR "/golden/hf/roberta_masked";

/// A directory of one test, gone after it.
class ScratchDirectory {
 public:
  ScratchDirectory()
      : path_(scratch_directory() / testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

SequenceClassifierOptions options_of(const fs::path& folder) {
  SequenceClassifierOptions options;
  options.pretrained_model = folder.string();
  return options;
}

data::Batch ids_batch() {
  data::Batch batch;
  batch.set("input_ids", at::tensor({0, 5, 9, 7, 2, 0, 8, 2, 1, 1}, at::kLong).view({2, 5}));
  batch.set("attention_mask", at::tensor({1, 1, 1, 1, 1, 1, 1, 1, 0, 0}, at::kLong).view({2, 5}));
  return batch;
}

data::Batch audio_batch() {
  data::Batch batch;
  const at::Tensor steps = at::arange(2 * 2400, at::kFloat).view({2, 2400});
  batch.set("input_values", (steps * 0.05).sin() + (steps * 0.31).sin());
  return batch;
}

bool same(const at::Tensor& a, const at::Tensor& b) { return at::equal(a, b); }

/// The checkpoint of a folder, changed, in a folder of its own.
template <class Change>
fs::path changed(const ScratchDirectory& scratch, const fs::path& from, Change change) {
  const fs::path folder = scratch.path() / "changed";
  fs::create_directories(folder);
  tensor::TensorMap weights = read_weights(from);
  change(weights);
  tensor::save_safetensors(folder / "model.safetensors", weights);
  write_file(folder / "config.json", read_file(from / "config.json"));
  return folder;
}

template <class Exception, class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Exception& error) {
    return std::string(error.what()) + " | " + error.remedy();
  }
  return "no error";
}

TEST(SequenceClassifier, SavedFolderIsTheSameModel) {
  const ScratchDirectory scratch;
  for (const fs::path& from : {kHubert, kBert, kRoberta}) {
    SequenceClassifier model(options_of(from));
    model.eval();
    const fs::path folder = scratch.path() / from.filename();
    model.save_pretrained(folder);
    SequenceClassifier again(options_of(folder));
    again.eval();
    EXPECT_THAT(again.load_report().missing, IsEmpty());
    EXPECT_THAT(again.load_report().unexpected, IsEmpty());
    const data::Batch batch = from == kHubert ? audio_batch() : ids_batch();
    EXPECT_TRUE(same(model.forward(batch), again.forward(batch))) << from;
  }
}

TEST(SequenceClassifier, SavedFolderHasWhatTransformersAsksFor) {
  const ScratchDirectory scratch;
  const fs::path from = changed(scratch, kRoberta, [](tensor::TensorMap&) {});
  write_file(from / "vocab.json", "{}");
  SequenceClassifierOptions options = options_of(from);
  options.num_labels = 2;
  options.ignore_mismatched_sizes = true;
  const fs::path folder = scratch.path() / "saved";
  SequenceClassifier(options).save_pretrained(folder, {"calm", "angry"});
  const auto config = nlohmann::json::parse(read_file(folder / "config.json"));
  EXPECT_EQ(config.at("architectures").at(0), "RobertaForSequenceClassification");
  EXPECT_EQ(config.at("id2label").at("1"), "angry");
  EXPECT_EQ(config.at("label2id").at("calm"), 0);
  EXPECT_EQ(config.at("hidden_size"), 32);
  EXPECT_THAT(read_file(folder / "model.safetensors"),
              HasSubstr(R"("__metadata__":{"format":"pt"})"));
  EXPECT_EQ(read_file(folder / "vocab.json"), "{}");
}

TEST(SequenceClassifier, HeadThatTheCheckpointLacksIsDrawnFromTheSeedAndReported) {
  const ScratchDirectory scratch;
  const fs::path folder = changed(scratch, kBert, [](tensor::TensorMap& weights) {
    weights.erase("classifier.weight");
    weights.erase("classifier.bias");
    weights.emplace("cls.predictions.bias", at::zeros({3}));
  });
  tensor::seed_everything(11);
  const SequenceClassifier first(options_of(folder));
  tensor::seed_everything(11);
  const SequenceClassifier second(options_of(folder));
  tensor::seed_everything(12);
  const SequenceClassifier third(options_of(folder));
  const auto weight = [](const SequenceClassifier& model) {
    return model.named_parameters()["classifier.weight"];
  };
  EXPECT_TRUE(same(weight(first), weight(second)));
  EXPECT_FALSE(same(weight(first), weight(third)));
  EXPECT_NEAR(weight(first).std().item<double>(), 0.02, 0.005);
  EXPECT_THAT(first.load_report().missing, ElementsAre("classifier.bias", "classifier.weight"));
  EXPECT_THAT(first.load_report().text("BertForSequenceClassification", "DIR"),
              testing::AllOf(
                  HasSubstr("Some weights of the model checkpoint at DIR were not used when "
                            "initializing BertForSequenceClassification: ['cls.predictions.bias']"),
                  HasSubstr("newly initialized: ['classifier.bias', 'classifier.weight']"),
                  HasSubstr("You should probably TRAIN this model")));
}

TEST(SequenceClassifier, BaseModelAndOldNamesLoad) {
  const ScratchDirectory scratch;
  const SequenceClassifier model(options_of(kBert));
  const fs::path folder = changed(scratch, kBert, [](tensor::TensorMap& weights) {
    tensor::TensorMap old;
    for (const auto& [name, tensor] : weights) {
      if (!name.starts_with("bert.")) continue;
      std::string key = name.substr(5);
      if (key.ends_with("LayerNorm.weight")) key.replace(key.size() - 6, 6, "gamma");
      if (key.ends_with("LayerNorm.bias")) key.replace(key.size() - 4, 4, "beta");
      old.emplace(key, tensor);
    }
    weights = old;
  });
  const SequenceClassifier again(options_of(folder));
  EXPECT_THAT(again.load_report().missing, ElementsAre("classifier.bias", "classifier.weight"));
  EXPECT_TRUE(same(again.named_parameters()["bert.embeddings.LayerNorm.weight"],
                   model.named_parameters()["bert.embeddings.LayerNorm.weight"]));
}

TEST(SequenceClassifier, NewNamesOfTheWeightNormLoad) {
  const ScratchDirectory scratch;
  const fs::path folder = changed(scratch, kHubert, [](tensor::TensorMap& weights) {
    const std::string conv = "hubert.encoder.pos_conv_embed.conv.";
    for (const auto& [now, later] : {std::pair{"weight_g", "parametrizations.weight.original0"},
                                     std::pair{"weight_v", "parametrizations.weight.original1"}}) {
      weights.emplace(conv + later, weights.at(conv + now));
      weights.erase(conv + now);
    }
  });
  EXPECT_THAT(SequenceClassifier(options_of(folder)).load_report().missing, IsEmpty());
}

TEST(SequenceClassifier, ShardsLoadAndAMissingOneIsNamed) {
  const ScratchDirectory scratch;
  const fs::path folder = scratch.path();
  tensor::TensorMap weights = read_weights(kRoberta);
  tensor::TensorMap shards[2];
  nlohmann::json map;
  std::size_t i = 0;
  for (const auto& [name, tensor] : weights) {
    shards[i % 2].emplace(name, tensor);
    map[name] =
        i % 2 == 0 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
    ++i;
  }
  tensor::save_safetensors(folder / "model-00001-of-00002.safetensors", shards[0]);
  tensor::save_safetensors(folder / "model-00002-of-00002.safetensors", shards[1]);
  write_file(folder / "model.safetensors.index.json",
             nlohmann::json{{"metadata", {{"total_size", 1}}}, {"weight_map", map}}.dump());
  write_file(folder / "config.json", read_file(kRoberta / "config.json"));
  const SequenceClassifier model(options_of(folder));
  EXPECT_THAT(model.load_report().missing, IsEmpty());
  fs::remove(folder / "model-00002-of-00002.safetensors");
  EXPECT_THAT(error_of<DataError>([&] { SequenceClassifier(options_of(folder)); }),
              HasSubstr("the shard model-00002-of-00002.safetensors is missing"));
}

/// The same names with something before or after.
tensor::TensorMap renamed(const tensor::TensorMap& weights,
                          const std::function<std::string(const std::string&)>& name_of) {
  tensor::TensorMap result;
  for (const auto& [name, tensor] : weights) result.emplace(name_of(name), tensor);
  return result;
}

// Which loss Transformers would take decides what a model was made for.
TEST(SequenceClassifier, RowsThatItsProblemTypeDoesNotSpeakOfAreRefused) {
  const auto complaint = [](const fs::path& folder, const char* problem, bool several) {
    SequenceClassifierOptions options = options_of(folder);
    if (problem != nullptr) options.config.set("problem_type", config::Node(std::string(problem)));
    const SequenceClassifier model(options);
    return error_of<ConfigError>([&] { model.check_targets(7, several); });
  };
  for (const bool several : {false, true}) {
    EXPECT_EQ(complaint(kRoberta, nullptr, several), "no error");
    EXPECT_THAT(complaint(kBert, "regression", several),
                testing::AllOf(HasSubstr("problem_type regression, which no task here has"),
                               HasSubstr("model.config={problem_type: null}")));
    // Classifiers of speech have cross-entropy there in any case.
    EXPECT_EQ(complaint(kHubert, "multi_label_classification", several), "no error");
  }
  EXPECT_EQ(complaint(kRoberta, "multi_label_classification", true), "no error");
  EXPECT_EQ(complaint(kRoberta, "single_label_classification", false), "no error");
  EXPECT_THAT(complaint(kRoberta, "single_label_classification", true),
              testing::AllOf(HasSubstr("single_label_classification, but task.multi_label is true"),
                             HasSubstr("set task.multi_label and dataset.multi_label to false")));
  EXPECT_THAT(complaint(kRoberta, "multi_label_classification", false),
              HasSubstr("multi_label_classification, but task.multi_label is false"));
  EXPECT_THAT(
      error_of<ConfigError>([] { SequenceClassifier(options_of(kBert)).check_targets(3, false); }),
      testing::AllOf(HasSubstr("the model has 7 labels, but the task 3 classes"),
                     HasSubstr("model.num_labels=3")));
}

TEST(SequenceClassifier, RandomWeightsOfWav2Vec2sConvolutionsHaveRandomBiases) {
  const SequenceClassifier model(parse_pretrained_config(
      R"({"model_type": "wav2vec2", "hidden_size": 16, "num_attention_heads": 2, "conv_bias": true,
          "num_hidden_layers": 0, "conv_dim": [8, 12], "conv_kernel": [9, 4], "conv_stride": [5, 4]})",
      "test"));
  const auto weights = model.named_parameters();
  const at::Tensor& bias = weights["wav2vec2.feature_extractor.conv_layers.1.conv.bias"];
  EXPECT_GT(bias.abs().max().item<double>(), 0.0);
  EXPECT_LE(bias.abs().max().item<double>(), std::sqrt(1.0 / (8 * 4)));
  EXPECT_EQ(weights["wav2vec2.encoder.pos_conv_embed.conv.bias"].abs().max().item<double>(), 0.0);
}

TEST(SequenceClassifier, NamesOfDataParallelLoad) {
  const ScratchDirectory scratch;
  const fs::path folder = changed(scratch, kRoberta, [](tensor::TensorMap& weights) {
    weights = renamed(weights, [](const std::string& name) { return "module." + name; });
  });
  const SequenceClassifier model(options_of(folder));
  EXPECT_THAT(model.load_report().missing, IsEmpty());
  EXPECT_THAT(model.load_report().unexpected, IsEmpty());
}

TEST(SequenceClassifier, WeightsOfHalfTheWidthBecomeFloat32) {
  const ScratchDirectory scratch;
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16, at::kDouble}) {
    const fs::path folder = changed(scratch, kRoberta, [type](tensor::TensorMap& weights) {
      for (auto& [name, weight] : weights) {
        if (weight.is_floating_point()) weight = weight.to(type);
      }
    });
    const SequenceClassifier rounded(options_of(folder));
    const tensor::TensorMap exact = read_weights(kRoberta);
    for (const auto& item : rounded.named_parameters()) {
      EXPECT_EQ(item.value().scalar_type(), at::kFloat) << item.key();
      EXPECT_TRUE(same(item.value().detach(), exact.at(item.key()).to(type).to(at::kFloat)));
    }
  }
}

TEST(SequenceClassifier, QuantizedWeightsAreRefused) {
  const ScratchDirectory scratch;
  const fs::path folder = changed(scratch, kRoberta, [](tensor::TensorMap& weights) {
    at::Tensor& dense = weights.at("classifier.dense.weight");
    dense = dense.to(at::kChar);
  });
  EXPECT_THAT(error_of<DataError>([&] { SequenceClassifier(options_of(folder)); }),
              testing::AllOf(HasSubstr("classifier.dense.weight is of type Char"),
                             HasSubstr("quantized weights are not read")));
}

// As Transformers refuses it: "The state dictionary … is corrupted".
TEST(SequenceClassifier, AnEncoderWithoutPrefixBesideAHeadIsRefused) {
  const ScratchDirectory scratch;
  const fs::path folder = changed(scratch, kRoberta, [](tensor::TensorMap& weights) {
    weights = renamed(weights, [](const std::string& name) {
      return name.starts_with("roberta.") ? name.substr(8) : name;
    });
  });
  EXPECT_THAT(error_of<DataError>([&] { SequenceClassifier(options_of(folder)); }),
              HasSubstr("classifier.dense.bias belongs to a whole model"));
  EXPECT_EQ(PretrainedEncoder(folder.string()).load_report().unexpected.size(), 4U);
}

TEST(SequenceClassifier, PointersOfGitLfsAreNoWeights) {
  const ScratchDirectory scratch;
  for (const char* name : {"model.safetensors", "pytorch_model.bin"}) {
    const fs::path folder = scratch.path() / name;
    write_file(folder / "config.json", read_file(kRoberta / "config.json"));
    write_file(folder / name, std::string_view("version https://git-lfs.github.com/spec/v1\n"
                                               "oid sha256:0123\nsize 1421520124\n"));
    EXPECT_THAT(error_of<DataError>([&] { SequenceClassifier(options_of(folder)); }),
                testing::AllOf(HasSubstr(std::string(name) + ": a pointer of Git LFS"),
                               HasSubstr("git lfs pull")));
  }
}

TEST(SequenceClassifier, TruncatedWeightsAreNamed) {
  const ScratchDirectory scratch;
  const fs::path folder = changed(scratch, kRoberta, [](tensor::TensorMap&) {});
  const std::string whole = read_file(folder / "model.safetensors");
  write_file(folder / "model.safetensors", std::string_view(whole).substr(0, whole.size() / 2));
  EXPECT_THAT(error_of<DataError>([&] { SequenceClassifier(options_of(folder)); }),
              testing::AllOf(HasSubstr("model.safetensors: truncated, or damaged: tensor '"),
                             HasSubstr("' lies outside the file")));
}

TEST(SequenceClassifier, AShardWithoutWhatItsIndexSaysIsNamed) {
  const ScratchDirectory scratch;
  const fs::path folder = changed(scratch, kRoberta, [](tensor::TensorMap&) {});
  fs::rename(folder / "model.safetensors", folder / "model-00001-of-00001.safetensors");
  nlohmann::json map = {{"classifier.extra", "model-00001-of-00001.safetensors"}};
  for (const auto& [name, tensor] : read_weights(kRoberta)) {
    map[name] = "model-00001-of-00001.safetensors";
  }
  write_file(folder / "model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  EXPECT_THAT(error_of<DataError>([&] { SequenceClassifier(options_of(folder)); }),
              HasSubstr("model-00001-of-00001.safetensors: classifier.extra is missing"));
  map["classifier.extra"] = "../elsewhere.safetensors";
  write_file(folder / "model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  EXPECT_THAT(error_of<DataError>([&] { SequenceClassifier(options_of(folder)); }),
              HasSubstr("weight_map.classifier.extra names no file of the folder"));
}

TEST(SequenceClassifier, AnotherNumberOfLabelsIsRefusedUnlessAskedFor) {
  SequenceClassifierOptions options = options_of(kHubert);
  options.num_labels = 4;
  EXPECT_THAT(error_of<DataError>([&] { SequenceClassifier{options}; }),
              testing::AllOf(HasSubstr("size mismatch for classifier.bias: found shape [7]"),
                             HasSubstr("ignore_mismatched_sizes=true")));
  options.ignore_mismatched_sizes = true;
  SequenceClassifier model(options);
  EXPECT_EQ(model.forward(audio_batch()).size(1), 4);
  EXPECT_EQ(model.load_report().mismatched.size(), 2U);
}

TEST(SequenceClassifier, FrozenPartsGetNoGradient) {
  const auto frozen = [](const SequenceClassifierOptions& options, const data::Batch& batch) {
    SequenceClassifier model(options);
    model.eval();
    model.forward(batch).sum().backward();
    std::vector<std::string> names;
    for (const auto& item : model.named_parameters()) {
      if (!item.value().grad().defined()) names.push_back(item.key());
    }
    return names;
  };
  SequenceClassifierOptions options = options_of(kHubert);
  options.freeze_feature_encoder = true;
  for (const std::string& name : frozen(options, audio_batch())) {
    EXPECT_THAT(name, testing::AnyOf(HasSubstr("feature_extractor"), HasSubstr("masked_spec")));
  }
  EXPECT_EQ(frozen(options, audio_batch()).size(), 4U * 7 + 1);
  SequenceClassifierOptions text = options_of(kRoberta);
  text.freeze_layers = 1;
  const auto names = frozen(text, ids_batch());
  EXPECT_EQ(names.size(), 5U + 16);
  for (const std::string& name : names)
    EXPECT_THAT(name, testing::AnyOf(HasSubstr("embeddings"), HasSubstr("layer.0.")));
  text.freeze_layers = 3;
  EXPECT_THAT(error_of<ConfigError>([&] { SequenceClassifier{text}; }),
              HasSubstr("3 layers are to be frozen of an encoder with 2"));
  text.freeze_layers.reset();
  text.freeze_feature_encoder = true;
  EXPECT_THAT(error_of<ConfigError>([&] { SequenceClassifier{text}; }),
              HasSubstr("no feature encoder"));
}

TEST(SequenceClassifier, TrainingStepsAreAFunctionOfTheGenerator) {
  SequenceClassifierOptions options = options_of(kHubertBase);
  options.config.set("apply_spec_augment", config::Node(true));
  options.config.set("mask_time_length", config::Node(2));
  options.config.set("mask_feature_prob", config::Node(0.2));
  options.config.set("mask_feature_length", config::Node(4));
  options.config.set("layerdrop", config::Node(0.5));
  options.config.set("hidden_dropout", config::Node(0.1));
  SequenceClassifier model(options);
  model.train();
  tensor::seed_everything(5);
  const at::Tensor first = model.forward(audio_batch());
  const at::Tensor other = model.forward(audio_batch());
  tensor::seed_everything(5);
  EXPECT_TRUE(same(model.forward(audio_batch()), first));
  EXPECT_FALSE(same(first, other));
  const at::Tensor middle = tensor::generator_state();
  const at::Tensor third = model.forward(audio_batch());
  tensor::set_generator_state(middle);
  EXPECT_TRUE(same(model.forward(audio_batch()), third));
}

TEST(SequenceClassifier, CheckpointedGradientsAreTheSameWithDropout) {
  const auto gradient = [](bool checkpointing) {
    SequenceClassifierOptions options = options_of(kRoberta);
    options.gradient_checkpointing = checkpointing;
    options.config.set("hidden_dropout_prob", config::Node(0.2));
    options.config.set("attention_probs_dropout_prob", config::Node(0.2));
    SequenceClassifier model(options);
    model.train();
    tensor::seed_everything(3);
    model.forward(ids_batch()).square().sum().backward();
    return model.named_parameters()["roberta.encoder.layer.0.intermediate.dense.weight"].grad();
  };
  EXPECT_LT((gradient(false) - gradient(true)).abs().max().item<double>(), 1e-6);
}

TEST(SequenceClassifier, Bfloat16IsNearFloat32AndTrains) {
  for (const fs::path& folder : {kHubert, kRoberta}) {
    SequenceClassifier model(options_of(folder));
    model.eval();
    const data::Batch batch = folder == kHubert ? audio_batch() : ids_batch();
    const at::Tensor exact = model.forward(batch);
    tensor::enable_autocast(true);
    const at::Tensor rough = model.forward(batch);
    tensor::enable_autocast(false);
    EXPECT_EQ(rough.scalar_type(), at::kFloat);
    EXPECT_FALSE(same(rough, exact));
    EXPECT_LT((rough - exact).abs().max().item<double>(), 0.1) << folder;
    rough.sum().backward();
    for (const auto& item : model.named_parameters()) {
      if (!item.value().grad().defined()) continue;
      EXPECT_EQ(item.value().grad().scalar_type(), at::kFloat) << item.key();
      EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
    }
  }
}

TEST(SequenceClassifier, LengthsOfCollationStandForTheMask) {
  SequenceClassifier model(options_of(kRoberta));
  model.eval();
  const data::Batch masked = ids_batch();
  data::Batch collated;
  at::Tensor ids = masked.at("input_ids").clone();
  ids.narrow(0, 1, 1).narrow(1, 3, 2).zero_();  // collation pads with 0
  collated.set("input_ids", ids);
  collated.set("input_ids_length", at::tensor({5, 3}, at::kLong));
  EXPECT_LT((model.forward(masked) - model.forward(collated)).abs().max().item<double>(), 1e-6);
}

TEST(SequenceClassifier, PaddingNeverChangesTheAnswer) {
  SequenceClassifier model(options_of(kHubert));
  model.eval();
  const data::Batch batch = audio_batch();
  data::Batch padded;
  const at::Tensor noise = at::full({2, 800}, 0.7);
  padded.set("input_values", at::cat({batch.at("input_values"), noise}, 1));
  padded.set("attention_mask", at::cat({at::ones({2, 2400}), at::zeros({2, 800})}, 1));
  EXPECT_LT((model.forward(batch) - model.forward(padded)).abs().max().item<double>(), 1e-5);
}

// As in Transformers, which counts them: hidden_states and logits were compared with its own.
TEST(SequenceClassifier, OfASpeechMaskOnlyTheNumberOfOnesCounts) {
  SequenceClassifier model(options_of(kHubert));
  model.eval();
  const at::Tensor places = at::arange(2400, at::kLong).unsqueeze(0).expand({2, 2400});
  data::Batch first = audio_batch();
  first.set("attention_mask", places.lt(1600).to(at::kLong));
  data::Batch sparse = audio_batch();
  sparse.set("attention_mask", places.remainder(3).ne(0).to(at::kLong));
  data::Batch left = audio_batch();
  left.set("attention_mask", places.ge(800).to(at::kLong));
  const at::Tensor wanted = model.forward(first);
  EXPECT_LT((model.forward(sparse) - wanted).abs().max().item<double>(), 1e-6);
  EXPECT_LT((model.forward(left) - wanted).abs().max().item<double>(), 1e-6);
}

TEST(SequenceClassifier, IsBuiltByTransformersNames) {
  for (const char* name : {"polyphony.models.SequenceClassifier",
                           "transformers.HubertForSequenceClassification.from_pretrained",
                           "transformers.AutoModelForSequenceClassification.from_pretrained"}) {
    config::Node node = config::Node::map();
    node.set("_target_", config::Node(name));
    node.set("pretrained_model_name_or_path", config::Node(kHubert.string()));
    const auto model = config::build<Model>(node, "model");
    EXPECT_THAT(model->inputs(), ElementsAre("input_values"));
    EXPECT_TRUE(
        model->named_parameters().contains("hubert.encoder.layers.1.attention.q_proj.bias"));
  }
}

TEST(SequenceClassifier, WrongFoldersAndFilesAreNamed) {
  const ScratchDirectory scratch;
  EXPECT_THAT(error_of<ConfigError>([] { SequenceClassifier(options_of("./no/such/folder")); }),
              HasSubstr("no/such/folder"));
  EXPECT_THAT(error_of<IoError>([&] { SequenceClassifier(options_of(scratch.path())); }),
              HasSubstr("config.json"));
  const auto with_config = [&](const std::string& json) {
    write_file(scratch.path() / "config.json", json);
    return error_of<DataError>([&] { SequenceClassifier(options_of(scratch.path())); });
  };
  EXPECT_THAT(with_config("[1"), HasSubstr("no JSON object"));
  EXPECT_THAT(with_config("{}"), HasSubstr("no model_type"));
  EXPECT_THAT(with_config(R"({"model_type": "gpt2"})"),
              testing::AllOf(HasSubstr("model_type is 'gpt2'"), HasSubstr("xlm-roberta")));
  EXPECT_THAT(with_config(R"({"model_type": "bert", "hidden_size": "big"})"),
              HasSubstr("hidden_size is \"big\""));
  EXPECT_THAT(with_config(R"({"model_type": "bert", "num_attention_heads": 7})"),
              HasSubstr("does not divide hidden_size 768"));
  EXPECT_THAT(with_config(R"({"model_type": "bert", "hidden_act": "mish"})"),
              HasSubstr("hidden_act is 'mish'"));
  EXPECT_THAT(with_config(R"({"model_type": "bert", "position_embedding_type": "relative_key"})"),
              HasSubstr("not supported"));
  EXPECT_THAT(with_config(R"({"model_type": "wav2vec2", "conv_dim": [512]})"),
              HasSubstr("conv_dim has 1 layers"));
  EXPECT_THAT(with_config(read_file(kBert / "config.json")), HasSubstr("no weights"));
  tensor::save_safetensors(scratch.path() / "model.safetensors", {{"x", at::zeros({1})}});
  EXPECT_THAT(with_config(read_file(kBert / "config.json")),
              HasSubstr("none of its 1 weights is one of this model"));
  EXPECT_THAT(error_of<ConfigError>([] { SequenceClassifier{SequenceClassifierOptions{}}; }),
              HasSubstr("pretrained_model: must be given"));
}

TEST(SequenceClassifier, WrongBatchesAreNamed) {
  SequenceClassifier text(options_of(kBert));
  EXPECT_THAT(error_of<DataError>([&] { text.forward(audio_batch()); }),
              HasSubstr("needs 'input_ids'"));
  data::Batch batch = ids_batch();
  batch.set("input_ids", at::full({2, 5}, 60, at::kLong));
  EXPECT_THAT(error_of<DataError>([&] { text.forward(batch); }),
              HasSubstr("input_ids holds 60, but the vocabulary of this model is 60"));
  data::Batch longer;
  longer.set("input_ids", at::ones({1, 41}, at::kLong));
  EXPECT_THAT(error_of<DataError>([&] { text.forward(longer); }),
              HasSubstr("41 tokens is too long: the model has 40 positions"));
  SequenceClassifier speech(options_of(kHubert));
  data::Batch brief;
  brief.set("input_values", at::zeros({1, 300}));
  EXPECT_THAT(error_of<DataError>([&] { speech.forward(brief); }),
              HasSubstr("300 samples is too short"));
  data::Batch misfit = audio_batch();
  misfit.set("attention_mask", at::ones({2, 7}));
  EXPECT_THAT(error_of<DataError>([&] { speech.forward(misfit); }),
              HasSubstr("attention_mask [2,7] does not fit input_values [2,2400]"));
}

TEST(PretrainedEncoder, WantsAllWeightsAndALayerThatIsThere) {
  const ScratchDirectory scratch;
  const fs::path folder = changed(scratch, kBert, [](tensor::TensorMap& weights) {
    weights.erase("bert.encoder.layer.1.output.dense.bias");
  });
  EXPECT_THAT(error_of<DataError>([&] { PretrainedEncoder encoder(folder.string()); }),
              HasSubstr("lacks encoder.layer.1.output.dense.bias"));
  const PretrainedEncoder encoder(kBert.string());
  EXPECT_THAT(error_of<ConfigError>([&] {
                encoder.encode({at::ones({1, 3}, at::kLong), {}, {}}, 3);
              }),
              HasSubstr("layer 3 is wanted of an encoder with 2 layers"));
}

}  // namespace
}  // namespace polyphony::models
