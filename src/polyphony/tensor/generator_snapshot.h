#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

namespace polyphony::tensor {

/// The state of the global random generator at one moment, without a tensor made of it: cheap
/// enough to be taken in every step.
class GeneratorSnapshot {
 public:
  GeneratorSnapshot();
  ~GeneratorSnapshot();
  GeneratorSnapshot(const GeneratorSnapshot&) = delete;
  GeneratorSnapshot& operator=(const GeneratorSnapshot&) = delete;

  void take();
  /// What generator_state() gave when it was taken.
  at::Tensor state() const;

 private:
  struct Kept;
  std::unique_ptr<Kept> kept_;
};

}  // namespace polyphony::tensor
