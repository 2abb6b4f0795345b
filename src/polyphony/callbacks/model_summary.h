#pragma once

#include <polyphony/config/bind/fields.h>
#include <polyphony/train/callback.h>

namespace polyphony::callbacks {

struct ModelSummaryOptions {
  int max_depth = 1;
  void describe(config::Fields& f);
};

/// Prints the model's modules and parameter counts before a fit.
class ModelSummary : public train::Callback {
 public:
  using Options = ModelSummaryOptions;
  explicit ModelSummary(Options options = {}) : options_(options) {}
  std::string name() const override { return "ModelSummary"; }
  void on_fit_start(train::Trainer& trainer) override;

 private:
  Options options_;
};

}  // namespace polyphony::callbacks
