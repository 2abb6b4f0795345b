#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include <polyphony/dist/process_group.h>
#include <polyphony/tensor/named_tensors.h>

namespace polyphony::dist {

/// Options with the names of PyTorch's DistributedDataParallel.
struct DataParallelOptions {
  double bucket_cap_mb = 25;            ///< gradients are exchanged in pieces of this size
  bool find_unused_parameters = false;  ///< look for parameters without a gradient in each step
  bool gradient_as_bucket_view = true;  ///< gradients live in the pieces, without a copy
};

/// Whether a backward pass ends with the exchange of gradients.
enum class GradientSync {
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
  /// @throws ConfigError naming the rank and the parameter if the processes' models differ
  DistributedDataParallel(ProcessGroup& group, const tensor::NamedTensors& parameters,
                          tensor::NamedTensors buffers = {}, DataParallelOptions options = {});
  ~DistributedDataParallel();
  DistributedDataParallel(const DistributedDataParallel&) = delete;
  DistributedDataParallel& operator=(const DistributedDataParallel&) = delete;

  /// Back-propagates the loss; with GradientSync::kNow gradients are then the processes' mean.
  /// @throws ConfigError naming the parameters that got no gradient
  /// @throws PeerLost
  void backward(const at::Tensor& loss, GradientSync sync);
  /// Gives every process rank 0's buffers (running means).
  void broadcast_buffers();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace polyphony::dist
