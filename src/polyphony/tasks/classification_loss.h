#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/config/bind/fields.h>
#include <polyphony/data/dataset.h>

namespace polyphony::tasks {

/// A weight a class: none (all 1), balanced (by the classes' frequency), or a list in label order.
struct ClassWeights {
  enum class Kind { kNone, kBalanced, kGiven } kind = Kind::kNone;
  std::vector<double> values;  ///< of kGiven
};
bool read(const config::Node& node, ClassWeights& weights);
std::string show(const ClassWeights& weights);
inline const char* type_name(const ClassWeights&) { return "none|balanced or list[float]"; }
/// The option `name`, with its rule.
void describe(config::Fields& f, const char* name, ClassWeights& weights, const char* doc);

/// The option class_weights.
inline constexpr const char* kClassWeightsDoc =
    "of the classes in the training loss: balanced: by inverse frequency in the training data; or "
    "a list in label order, CrossEntropyLoss's weight";

/// Cross-entropy over single labels, or binary cross-entropy of each class if a row may have
/// several: the mean over a batch.
class ClassificationLoss {
 public:
  struct Options {
    int num_labels = 0;
    bool multi_label = false;
    ClassWeights class_weights;
    ClassWeights pos_weight;  ///< of the rows that have a class
  };
  /// @throws ConfigError for weights that fit neither the labels nor each other
  explicit ClassificationLoss(Options options);

  /// Takes the weights that the rows of the training data decide. @throws ConfigError for rows of
  /// other classes, or of another number of classes a row
  void setup(const data::Dataset& dataset);

  enum class Weights { kNone, kTraining };
  /// @param logits  float [batch, classes]  @param label  int64 [batch], or float [batch, classes]
  /// @param smoothing  share of the target that is spread over all classes
  /// @throws ConfigError if a row has another number of logits than there are labels
  at::Tensor operator()(const at::Tensor& logits, const at::Tensor& label, Weights weights,
                        double smoothing) const;

 private:
  void balance(const data::Dataset& dataset);

  Options options_;
  at::Tensor weights_;   ///< float [classes]; undefined if all are 1
  at::Tensor positive_;  ///< of the rows that have a class: likewise
};

}  // namespace polyphony::tasks
