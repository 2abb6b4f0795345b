#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/dist/collective.h>
#include <polyphony/train/callback.h>

namespace polyphony::pipeline {

/// Keeps the labels of the rows that are predicted, which predictions themselves do not hold.
class RowLabels : public train::Callback {
 public:
  std::string name() const override { return "RowLabels"; }
  void on_predict_start(train::Trainer& trainer) override;
  void on_predict_batch_end(train::Trainer& trainer, const data::Batch& batch,
                            std::int64_t index) override;

  /// Labels of all processes' rows in dataset order, -1 where a row has none, or may have several;
  /// every process calls it.
  std::vector<std::int64_t> gather(dist::Collective& collective) const;

 private:
  std::vector<at::Tensor> labels_;
  std::vector<at::Tensor> rows_;
};

}  // namespace polyphony::pipeline
