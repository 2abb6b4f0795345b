#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/models/fusion_classifier.h>

#include "models/batches.h"

namespace polyphony::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kLabels = 3;

config::Node audio_encoder() {
  config::Node node = target("polyphony.models.LogMelEncoder");
  node.set("mels", static_cast<int>(kMels));
  node.set("dims", 12);
  node.set("channels", 10);
  node.set("dropout", 0.0);
  return node;
}

config::Node text_encoder() {
  config::Node node = target("polyphony.models.NgramEncoder");
  node.set("buckets", 64);
  node.set("dims", 6);
  node.set("dropout", 0.0);
  node.set("idf", false);  // its counts grow with every pass, so that no two passes agree
  return node;
}

config::Node classifier(const std::string& name, config::Node encoder) {
  config::Node node = target(name);
  node.set("encoder", std::move(encoder));
  node.set("num_labels", kLabels);
  node.set("dropout", 0.0);
  return node;
}

config::Node fusion(const std::string& positions = "rotary", bool causal = false) {
  config::Node transformer = config::Node::map();
  transformer.set("model_dims", 16);
  transformer.set("num_heads", 2);
  transformer.set("positions", positions);
  transformer.set("attn_mask", causal);
  for (const char* rate :
       {"attn_dropout", "relu_dropout", "res_dropout", "emb_dropout", "out_dropout"}) {
    transformer.set(rate, 0.0);
  }
  config::Node node = target("polyphony.models.FusionClassifier");
  node.set("audio", audio_encoder());
  node.set("text", text_encoder());
  node.set("fusion", std::move(transformer));
  node.set("num_labels", kLabels);
  node.set("dropout", 0.0);
  return node;
}

std::shared_ptr<Model> build(const config::Node& node) {
  at::manual_seed(1);
  return config::build<Model>(node, "model");
}

/// Every form of model that there is, without dropout.
std::vector<config::Node> all_models() {
  config::Node plain = fusion();
  plain.set("pooled_residual", false);
  return {classifier("polyphony.models.AudioClassifier", audio_encoder()),
          classifier("polyphony.models.TextClassifier", text_encoder()),
          fusion("rotary"),
          fusion("rotary", true),
          fusion("sinusoidal"),
          fusion("sinusoidal", true),
          plain};
}

TEST(Models, AreBuiltByNameAndGiveLogits) {
  for (const config::Node& node : all_models()) {
    const auto model = build(node);
    const at::Tensor logits = model->forward(make_batch({33, 7}, {5, 2}, 33, 5));
    EXPECT_EQ(logits.sizes(), (std::vector<std::int64_t>{2, kLabels}));
    EXPECT_TRUE(all_finite(logits));
  }
}

TEST(Models, OptionsHaveDefaultsThatWorkTogether) {
  config::Node node = target("polyphony.models.FusionClassifier");
  node.set("audio", target("polyphony.models.LogMelEncoder"));
  node.set("text", target("polyphony.models.NgramEncoder"));
  node.set("num_labels", 2);
  data::Batch batch = make_batch({33, 7}, {5, 2}, 33, 5);
  batch.set("log_mel", at::ones({2, 33, 80}));
  EXPECT_TRUE(all_finite(build(node)->forward(batch)));
}

TEST(Models, PaddingDoesNotInfluenceResults) {
  for (const config::Node& node : all_models()) {
    const auto model = build(node);
    for (const bool training : {true, false}) {
      model->train(training);
      const at::Tensor exact = model->forward(make_batch({33, 7, 40}, {5, 2, 9}, 40, 9));
      const at::Tensor padded = model->forward(make_batch({33, 7, 40}, {5, 2, 9}, 61, 17));
      EXPECT_LT(distance(exact, padded), 1e-4) << training;
    }
  }
}

TEST(Models, AnItemDoesNotDependOnItsNeighboursInEvaluation) {
  for (const config::Node& node : all_models()) {
    const auto model = build(node);
    model->eval();
    const at::Tensor alone = model->forward(make_batch({33}, {5}, 33, 5));
    const at::Tensor together = model->forward(make_batch({33, 900}, {5, 90}, 900, 90));
    EXPECT_LT(distance(alone[0], together[0]), 1e-4);
  }
}

TEST(Models, LengthZeroGivesNumbersAndFiniteGradients) {
  for (const config::Node& node : all_models()) {
    const auto model = build(node);
    for (const bool training : {true, false}) {
      model->train(training);
      for (const auto& batch : {make_batch({0, 20}, {4, 0}, 20, 4), make_batch({0}, {0}, 0, 0)}) {
        model->zero_grad();
        const at::Tensor logits = model->forward(batch);
        EXPECT_TRUE(all_finite(logits));
        at::cross_entropy_loss(logits, at::zeros({logits.size(0)}, at::kLong)).backward();
        for (const auto& item : model->named_parameters()) {
          const at::Tensor& gradient = item.value().grad();
          EXPECT_TRUE(!gradient.defined() || all_finite(gradient)) << item.key();
        }
      }
    }
  }
}

TEST(Models, EveryParameterGetsAGradient) {
  for (const config::Node& node : all_models()) {
    // Without the residual nothing reads the pooled vectors, so their weights have no gradient.
    if (node.find("pooled_residual") != nullptr) continue;
    const auto model = build(node);
    const at::Tensor logits = model->forward(make_batch({33, 70, 64}, {5, 2, 9}, 70, 9));
    at::cross_entropy_loss(logits, at::tensor({0, 1, 2}, at::kLong)).backward();
    for (const auto& item : model->named_parameters()) {
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      EXPECT_GT(item.value().grad().abs().max().item<double>(), 0.0) << item.key();
    }
  }
}

TEST(Models, SayWhichInputsTheyNeed) {
  EXPECT_THAT(build(all_models()[0])->inputs(), ElementsAre("log_mel"));
  EXPECT_THAT(build(all_models()[1])->inputs(), ElementsAre("ngrams"));
  EXPECT_THAT(build(fusion())->inputs(), ElementsAre("log_mel", "ngrams"));
}

TEST(Models, AMissingInputIsADataErrorThatNamesTheOption) {
  const data::Batch whole = make_batch({9}, {3}, 9, 3);
  for (const std::string missing : {"log_mel", "log_mel_length", "ngrams", "ngrams_length"}) {
    data::Batch batch;
    for (const auto& [name, value] : whole.entries()) {
      if (name != missing) batch.set(name, value);
    }
    try {
      build(fusion())->forward(batch);
      FAIL() << "no error without " << missing;
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("'" + missing + "'"));
      EXPECT_THAT(error.remedy(), HasSubstr("dataset.inputs"));
    }
  }
}

TEST(Models, RequiredOptionsAreConfigErrorsThatNameThem) {
  const config::Node whole = fusion();
  for (const char* option : {"audio", "text", "num_labels"}) {
    config::Node node = whole;
    node.erase(option);
    try {
      build(node);
      FAIL() << "no error without " << option;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr(option));
    }
  }
}

TEST(Models, OptionsThatDoNotFitAreConfigErrors) {
  const auto message = [](const char* option, const config::Node& value) -> std::string {
    config::Node node = fusion();
    node.find("fusion")->set(option, value);
    try {
      build(node);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message("num_heads", 3), HasSubstr("a multiple of num_heads"));
  EXPECT_THAT(message("num_heads", 16), HasSubstr("an even number for each head"));
  EXPECT_THAT(message("num_heads", 0), HasSubstr("at least 1"));
  EXPECT_THAT(message("num_layers", 0), HasSubstr("at least 1"));
  EXPECT_THAT(message("attn_dropout", 1.0), HasSubstr("in [0, 1)"));
  EXPECT_THAT(message("positions", "learned"), HasSubstr("positions"));
}

TEST(FusionClassifier, AveragesLongSpeechAndCutsLongText) {
  config::Node node = fusion();
  node.set("max_audio_positions", 4);
  node.set("text_max_length", 3);
  node.set("pooled_residual", false);
  const auto model = build(node);
  model->eval();
  const data::Batch batch = make_batch({200, 30, 50}, {9, 2, 3}, 200, 9);
  const at::Tensor logits = model->forward(batch);
  EXPECT_TRUE(all_finite(logits));

  data::Batch other_end = batch;  // text beyond the third position is not read
  other_end.set("ngrams", batch.at("ngrams").clone());
  other_end.at("ngrams")[0].slice(0, 3).fill_(5);
  EXPECT_LT(distance(model->forward(other_end), logits), 1e-6);

  data::Batch late = batch;  // speech is read to its end
  late.set("log_mel", batch.at("log_mel").clone());
  late.at("log_mel")[0].slice(0, 190).mul_(-1.0);
  EXPECT_GT(distance(model->forward(late)[0], logits[0]), 1e-6);

  // An item short enough is not averaged, whatever its neighbours.
  const at::Tensor alone = model->forward(make_batch({200, 30}, {9, 2}, 200, 9));
  EXPECT_LT(distance(alone, logits.narrow(0, 0, 2)), 1e-5);
}

}  // namespace
}  // namespace polyphony::models
