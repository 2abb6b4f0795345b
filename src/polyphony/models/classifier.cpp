#include <polyphony/models/classifier.h>

#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <polyphony/config/bind/registry.h>

namespace polyphony::models {

void ClassifierOptions::describe(config::Fields& f) {
  f.required("encoder", encoder, "what embeds the batch");
  f.required("num_labels", num_labels, "number of classes");
  f.check("num_labels", num_labels >= 2, "at least 2");
  f("dropout", dropout, "dropout on the pooled vector");
  f.check("dropout", dropout >= 0 && dropout < 1, "in [0, 1)");
}

Classifier::Classifier(const Options& options) : dropout_(options.dropout) {
  encoder_ = register_module(
      "encoder", std::shared_ptr<Encoder>(config::build(options.encoder, "model.encoder")));
  head_ = register_module("head", torch::nn::Linear(encoder_->dims(), options.num_labels));
}

at::Tensor Classifier::forward(const data::Batch& batch) {
  const at::Tensor pooled = encoder_->encode(batch).pooled;
  return head_->forward(torch::dropout(pooled, dropout_, is_training()));
}

POLYPHONY_REGISTER(Model, AudioClassifier, "polyphony.models.AudioClassifier",
                   "speech to classes: an encoder and a linear head")
POLYPHONY_REGISTER(Model, TextClassifier, "polyphony.models.TextClassifier",
                   "text to classes: an encoder and a linear head")

}  // namespace polyphony::models
