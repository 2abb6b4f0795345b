#pragma once

#include <cstdint>
#include <optional>

#include <polyphony/dist/reduction.h>

namespace polyphony::train {

/// Lightning's name for it.
using ReduceFx = dist::Reduction;

/// LightningModule.log's options.
struct LogOptions {
  std::optional<bool> on_step;   ///< log each value; null: in training steps only
  std::optional<bool> on_epoch;  ///< log the epoch's value; null: outside training steps
  bool prog_bar = false;         ///< show it in the progress bar
  bool logger = true;            ///< give it to the loggers
  bool sync_dist = false;        ///< reduce over all processes
  bool rank_zero_only = false;   ///< only rank 0 logs it
  ReduceFx reduce_fx = ReduceFx::kMean;
  std::int64_t batch_size = 0;  ///< weight in a mean; 0: the batch's rows

  bool operator==(const LogOptions&) const = default;
};

}  // namespace polyphony::train
