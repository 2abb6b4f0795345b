#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/dist/process_group.h>

namespace polyphony::dist {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Options with the names of PyTorch's DistributedDataParallel.
struct DataParallelOptions {
  double bucket_cap_mb = 25;            ///< gradients are exchanged in pieces of this size
  bool find_unused_parameters = false;  ///< look for parameters without a gradient in each step
  bool gradient_as_bucket_view = true;  ///< gradients live in the pieces, without a copy
};

/// Whether a backward pass ends with the exchange of gradients.
enum class Sync {
  kNow,
  kLater,  ///< gradients add up on each process, as under PyTorch's `no_sync`
};

/// Keeps the parameters of all processes equal: at the start by rank 0's values, then by averaging
/// gradients while the backward pass still computes others (c10d::Reducer, the engine of PyTorch's
/// own DistributedDataParallel).
///
/// With `gradient_as_bucket_view`, clear gradients by zeroing them in place.
class DistributedDataParallel {
 public:
  /// @param group       outlives this
  /// @param parameters  under their names; those that require no gradient are only broadcast
  /// @throws ConfigError naming the rank and the parameter where the processes' models differ
  DistributedDataParallel(ProcessGroup& group, const NamedTensors& parameters,
                          NamedTensors buffers = {}, DataParallelOptions options = {});
  ~DistributedDataParallel();
  DistributedDataParallel(const DistributedDataParallel&) = delete;
  DistributedDataParallel& operator=(const DistributedDataParallel&) = delete;

  /// Back-propagates scale * loss; with Sync::kNow gradients are the mean over all processes then.
  /// @throws ConfigError naming the parameters that got no gradient
  /// @throws PeerLost
  void backward(const at::Tensor& loss, double scale, Sync sync);
  /// Gives every process rank 0's buffers (running means).
  void broadcast_buffers();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace polyphony::dist
