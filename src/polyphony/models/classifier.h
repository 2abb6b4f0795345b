#pragma once

#include <memory>
#include <string>
#include <vector>

#include <torch/nn/modules/linear.h>

#include <polyphony/config/bind/fields.h>
#include <polyphony/models/model.h>

namespace polyphony::models {

struct ClassifierOptions {
  config::Child<Encoder> encoder;
  int num_labels = 0;
  double dropout = 0.1;

  void describe(config::Fields& f);
};

/// An encoder and a linear head on its pooled vector. Submodules: "encoder", "head".
class Classifier : public Model {
 public:
  using Options = ClassifierOptions;
  explicit Classifier(const Options& options);

  at::Tensor forward(const data::Batch& batch) override;
  std::vector<std::string> inputs() const override { return encoder_->inputs(); }

 private:
  double dropout_;
  std::shared_ptr<Encoder> encoder_;
  torch::nn::Linear head_{nullptr};
};

/// Speech to classes.
class AudioClassifier : public Classifier {
 public:
  using Classifier::Classifier;
};

/// Text to classes.
class TextClassifier : public Classifier {
 public:
  using Classifier::Classifier;
};

}  // namespace polyphony::models
