#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/files.h>
#include <polyphony/models/pretrained_encoder.h>
#include <polyphony/models/sequence_classifier.h>

#include "golden.h"

// Pretrained encoders against Transformers 4.27.1: each case is a folder DIR/hf/NAME with
// config.json, model.safetensors, pytorch_model.bin, expected.safetensors and expected.json.

namespace polyphony::models {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-5;
/// A norm of gradients beyond this is of uninitialised memory.
constexpr double kSaneNorm = 1e6;

struct HfCase {
  std::string name;
  fs::path folder;
  tensor::TensorMap expected;
  nlohmann::json facts;
};

std::vector<HfCase> load_cases() {
  std::vector<HfCase> cases;
  for (const auto& entry : fs::directory_iterator(golden_dir() / "hf")) {
    if (!fs::exists(entry.path() / "expected.safetensors")) continue;
    HfCase one;
    one.name = entry.path().filename().string();
    one.folder = entry.path();
    one.expected = tensor::load_safetensors(entry.path() / "expected.safetensors");
    one.facts = nlohmann::json::parse(read_file(entry.path() / "expected.json"));
    cases.push_back(std::move(one));
  }
  return cases;
}

SequenceClassifierOptions options_of(const fs::path& folder) {
  SequenceClassifierOptions options;
  options.pretrained_model = folder.string();
  return options;
}

std::unique_ptr<SequenceClassifier> model_of(const fs::path& folder) {
  auto model = std::make_unique<SequenceClassifier>(options_of(folder));
  model->eval();
  return model;
}

EncoderInput input_of(const HfCase& one) {
  const auto part = [&](const char* name) {
    const auto found = one.expected.find(std::string("in.") + name);
    return found == one.expected.end() ? at::Tensor() : found->second;
  };
  EncoderInput input;
  input.values = part("input_values").defined() ? part("input_values") : part("input_ids");
  input.attention_mask = part("attention_mask");
  input.token_type_ids = part("token_type_ids");
  return input;
}

data::Batch batch_of(const HfCase& one) {
  data::Batch batch;
  for (const char* name : {"input_values", "input_ids", "attention_mask", "token_type_ids"}) {
    const auto found = one.expected.find(std::string("in.") + name);
    if (found != one.expected.end()) batch.set(name, found->second);
  }
  return batch;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  if (a.sizes() != b.sizes()) return INFINITY;
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

at::Tensor loss_of(SequenceClassifier& model, const HfCase& one) {
  return at::cross_entropy_loss(model.forward(batch_of(one)), one.expected.at("in.labels"));
}

TEST(GoldenPretrained, LogitsLossAndHiddenStatesAreThoseOfTransformers) {
  int checked = 0;
  for (const HfCase& one : load_cases()) {
    const auto model = model_of(one.folder);
    EXPECT_THAT(model->load_report().missing, testing::IsEmpty()) << one.name;
    EXPECT_THAT(model->load_report().unexpected, testing::IsEmpty()) << one.name;
    EncodeOptions options;
    options.hidden_states = true;
    const Classified result = model->classify(input_of(one), options);
    EXPECT_LT(distance(result.logits, one.expected.at("logits")), kTolerance) << one.name;
    EXPECT_LT(distance(model->forward(batch_of(one)), one.expected.at("logits")), kTolerance)
        << one.name << ", trimmed";
    EXPECT_LT(distance(loss_of(*model, one).reshape({1}), one.expected.at("loss")), kTolerance)
        << one.name;
    std::size_t states = 0;
    for (const auto& [key, tensor] : one.expected) {
      if (!key.starts_with("hidden_states.")) continue;
      const std::size_t k = std::stoul(key.substr(14));
      ASSERT_LT(k, result.encoder.hidden_states.size()) << one.name;
      EXPECT_LT(distance(result.encoder.hidden_states[k], tensor), kTolerance) << one.name << key;
      ++states;
    }
    EXPECT_EQ(states, result.encoder.hidden_states.size()) << one.name;
    ++checked;
  }
  std::cout << "golden cases: " << checked << " of logits and hidden states\n";
  EXPECT_GT(checked, 0) << "no case in " << golden_dir() / "hf";
}

/// Whether finite differences cross the kink of an activation.
bool has_kink(const PretrainedConfig& config) {
  return config.layer.activation == nn::Activation::kRelu ||
         config.speech.conv.activation == nn::Activation::kRelu;
}

// The reference trained base models on uninitialised memory (see ThreeFineTuningSteps…), so their
// gradients are held against the loss itself: its slope along a random direction, in float64.
TEST(GoldenPretrained, GradientsAreTheSlopeOfTheLoss) {
  constexpr double kStep = 1e-5;
  int checked = 0;
  for (const HfCase& one : load_cases()) {
    data::Batch batch = batch_of(one);
    if (!batch.has("input_values")) continue;
    batch.set("input_values", batch.at("input_values").to(at::kDouble));
    const auto model = model_of(one.folder);
    if (has_kink(model->config())) continue;
    model->to(at::kDouble);
    const auto loss = [&] {
      return at::cross_entropy_loss(model->forward(batch), one.expected.at("in.labels"));
    };
    loss().backward();
    for (const auto& item : model->named_parameters()) {
      if (!item.value().grad().defined()) continue;
      at::Tensor weight = item.value();
      const at::Tensor direction = at::randn_like(weight);
      const at::NoGradGuard no_grad;
      weight.add_(direction, kStep);
      const double ahead = loss().item<double>();
      weight.sub_(direction, 2 * kStep);
      const double behind = loss().item<double>();
      weight.add_(direction, kStep);
      const double slope = (ahead - behind) / (2 * kStep);
      const double wanted = (weight.grad() * direction).sum().item<double>();
      EXPECT_NEAR(wanted, slope, 1e-6 * (1 + std::abs(slope))) << one.name << " " << item.key();
      ++checked;
    }
  }
  EXPECT_GT(checked, 0);
}

TEST(GoldenPretrained, OneLayerAloneIsThatOfAllLayers) {
  int checked = 0;
  for (const HfCase& one : load_cases()) {
    const PretrainedEncoder encoder(one.folder.string());
    for (std::int64_t k = 0; k <= encoder.layers(); ++k) {
      const EncoderOutput output = encoder.encode(input_of(one), k);
      const at::Tensor& wanted = one.expected.at("hidden_states." + std::to_string(k));
      EXPECT_LT(distance(output.sequence, wanted), kTolerance) << one.name << " layer " << k;
      ++checked;
    }
  }
  std::cout << "golden cases: " << checked << " layers alone\n";
  EXPECT_GT(checked, 0);
}

TEST(GoldenPretrained, EveryFileFormatHoldsTheSameWeights) {
  int checked = 0;
  for (const HfCase& one : load_cases()) {
    const fs::path folder = fs::path(testing::TempDir()) / ("bin_" + one.name);
    fs::create_directories(folder);
    for (const char* name : {"config.json", "pytorch_model.bin"}) {
      fs::copy_file(one.folder / name, folder / name, fs::copy_options::overwrite_existing);
    }
    const auto model = model_of(folder);
    EXPECT_LT(distance(model->forward(batch_of(one)), one.expected.at("logits")), kTolerance)
        << one.name;
    fs::remove_all(folder);
    ++checked;
  }
  EXPECT_GT(checked, 0);
}

TEST(GoldenPretrained, StateHasTheNamesAndShapesOfTransformers) {
  int checked = 0;
  for (const HfCase& one : load_cases()) {
    const tensor::TensorMap weights = weights_of(*model_of(one.folder));
    const auto& wanted = one.facts.at("state_dict_keys");
    EXPECT_EQ(weights.size(), wanted.size()) << one.name;
    for (const auto& [name, shape] : wanted.items()) {
      ASSERT_TRUE(weights.contains(name)) << one.name << " " << name;
      EXPECT_EQ(weights.at(name).sizes().vec(), shape.get<std::vector<std::int64_t>>()) << name;
    }
    ++checked;
  }
  EXPECT_GT(checked, 0);
}

// Transformers' Trainer decays what is neither a bias nor of a torch.nn.LayerNorm.
TEST(GoldenPretrained, LayerNormsAndBiasesAreToldFromWhatIsDecayed) {
  int checked = 0;
  for (const HfCase& one : load_cases()) {
    const auto model = model_of(one.folder);
    const auto modules = model->named_modules("", /*include_self=*/false);
    std::vector<std::string> decayed;
    for (const auto& item : model->named_parameters()) {
      const std::string owner = item.key().substr(0, item.key().rfind('.'));
      const bool norm =
          modules.contains(owner) && modules[owner]->name().find("LayerNorm") != std::string::npos;
      if (!norm && item.key().find("bias") == std::string::npos) decayed.push_back(item.key());
    }
    EXPECT_THAT(decayed, testing::UnorderedElementsAreArray(
                             one.facts.at("decay_parameters").get<std::vector<std::string>>()))
        << one.name;
    ++checked;
  }
  EXPECT_GT(checked, 0);
}

/// AdamW with decay on the parameters that the reference decays, which clips at norm 1.
class Finetuning {
 public:
  Finetuning(SequenceClassifier& model, const std::vector<std::string>& decayed) {
    for (const auto& item : model.named_parameters()) {
      const bool decay = std::find(decayed.begin(), decayed.end(), item.key()) != decayed.end();
      (decay ? decay_ : plain_).push_back(item.value());
    }
  }

  /// @return the norm of the gradients before clipping
  double step(double rate) {
    double sum = 0;
    for_all([&](at::Tensor& p, double) {
      if (p.grad().defined()) sum += p.grad().to(at::kDouble).square().sum().item<double>();
    });
    const double norm = std::sqrt(sum);
    const double scale = std::min(1.0, 1.0 / (norm + 1e-6));
    ++steps_;
    const at::NoGradGuard no_grad;
    for_all([&](at::Tensor& p, double decay) {
      if (!p.grad().defined()) return;
      const at::Tensor g = p.grad() * scale;
      auto& [m, v] = moments_[p.unsafeGetTensorImpl()];
      if (!m.defined()) m = at::zeros_like(p), v = at::zeros_like(p);
      p.mul_(1 - rate * decay);
      m.mul_(0.9).add_(g, 0.1);
      v.mul_(0.999).addcmul_(g, g, 0.001);
      const double first = 1 - std::pow(0.9, steps_);
      const double second = 1 - std::pow(0.999, steps_);
      p.addcdiv_(m, (v.sqrt() / std::sqrt(second)).add_(1e-8), -rate / first);
    });
    return norm;
  }

 private:
  void for_all(const std::function<void(at::Tensor&, double)>& visit) {
    for (at::Tensor& p : decay_) visit(p, 0.01);
    for (at::Tensor& p : plain_) visit(p, 0.0);
  }

  std::vector<at::Tensor> decay_;
  std::vector<at::Tensor> plain_;
  std::map<at::TensorImpl*, std::pair<at::Tensor, at::Tensor>> moments_;
  int steps_ = 0;
};

/// Whether the reference trained on its model's gradients. GELU's gradient in LibTorch 1.13.1 is of
/// uninitialised memory after the last convolution of a base model.
bool is_sane(const HfCase& one) {
  const auto& steps = one.facts.at("finetune_steps");
  return std::all_of(steps.begin(), steps.end(), [](const auto& step) {
    return step.at("grad_norm").template get<double>() < kSaneNorm;
  });
}

/// Those of a step after clipping, which is what the reference kept of its third.
void expect_gradients(const SequenceClassifier& model, const HfCase& one, double scale) {
  for (const auto& item : model.named_parameters()) {
    const auto wanted = one.expected.find("grad." + item.key());
    if (wanted == one.expected.end()) {
      EXPECT_FALSE(item.value().grad().defined()) << one.name << " " << item.key();
      continue;
    }
    ASSERT_TRUE(item.value().grad().defined()) << one.name << " " << item.key();
    EXPECT_LT(distance(item.value().grad() * scale, wanted->second), kTolerance)
        << one.name << " " << item.key();
  }
}

void finetune(const HfCase& one, bool checkpointing) {
  const auto model = model_of(one.folder);
  model->train();  // no case has dropout
  model->encoder().checkpoint_gradients(checkpointing);
  Finetuning finetuning(*model, one.facts.at("decay_parameters"));
  double norm = 0;
  for (const auto& step : one.facts.at("finetune_steps")) {
    for (at::Tensor& p : model->parameters()) p.mutable_grad() = at::Tensor();
    const at::Tensor loss = loss_of(*model, one);
    EXPECT_NEAR(loss.item<double>(), step.at("loss"), kTolerance) << one.name;
    loss.backward();
    norm = finetuning.step(step.at("lr"));
    EXPECT_NEAR(norm / step.at("grad_norm").get<double>(), 1.0, kTolerance) << one.name;
  }
  expect_gradients(*model, one, std::min(1.0, 1.0 / (norm + 1e-6)));
  model->eval();
  EXPECT_LT(distance(model->forward(batch_of(one)), one.expected.at("after3.logits")), kTolerance)
      << one.name;
}

TEST(GoldenPretrained, ThreeFineTuningStepsAreThoseOfTransformers) {
  int checked = 0;
  for (const HfCase& one : load_cases()) {
    if (!is_sane(one)) {
      std::cout << one.name << ": left out, the reference trained on uninitialised gradients\n";
      continue;
    }
    finetune(one, /*checkpointing=*/false);
    finetune(one, /*checkpointing=*/true);
    ++checked;
  }
  std::cout << "golden cases: " << checked << " of fine-tuning\n";
  EXPECT_GT(checked, 0);
}

}  // namespace
}  // namespace polyphony::models
