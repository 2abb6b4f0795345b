#pragma once

#include <polyphony/tasks/classification.h>

namespace polyphony::tasks {

/// What the original's module and that of January 2024 have in common.
struct ArchitectureOptions {
  config::Child<models::Model> model;
  int num_labels = 0;
  metrics::Average average = metrics::Average::kMacro;
  double lr = 1e-3;
  double weight_decay = 1e-2;
  optim::Interval interval = optim::Interval::kStep;
  /// The original logs the values of batches; see docs/metrics.md.
  metrics::Logging metric_logging = metrics::Logging::kEpoch;
  metrics::TorchMetrics torchmetrics = metrics::TorchMetrics::k1_4_3;
  ClassWeights class_weights;
};

struct MultiModalArchitectureOptions : ArchitectureOptions {
  std::string strategy;
  double warmup_ratio = 5e-2;
  double eta_min_ratio = 1e-2;

  void describe(config::Fields& f);
};

/// The original's module: cross-entropy, F1 and accuracy, AdamW with a linear warm-up and a cosine
/// over the steps of the run.
class MultiModalArchitecture : public Classification {
 public:
  using Options = MultiModalArchitectureOptions;
  explicit MultiModalArchitecture(Options options);
  train::Optimization configure_optimizers() override;

 private:
  Options options_;
};

struct MultiModalPlModuleOptions : ArchitectureOptions {
  std::int64_t t_max = 50;
  double eta_min = 0;

  MultiModalPlModuleOptions() { torchmetrics = metrics::TorchMetrics::k0_11_4; }
  void describe(config::Fields& f);
};

/// The same as of January 2024: a cosine that comes up again after t_max steps.
class MultiModalPlModule : public Classification {
 public:
  using Options = MultiModalPlModuleOptions;
  explicit MultiModalPlModule(Options options);
  train::Optimization configure_optimizers() override;

 private:
  Options options_;
};

}  // namespace polyphony::tasks
