#pragma once

// reducer.hpp of LibTorch 1.13 includes this header, which Debian does not install. These are the
// names that it needs of it; nothing here is ever instantiated.
#include <functional>
#include <memory>

namespace at {
class Tensor;
}

namespace torch::distributed::autograd {

class DistAutogradContext {
 public:
  using GradCallback = std::function<bool(at::Tensor&)>;
};
using ContextPtr = std::shared_ptr<DistAutogradContext>;

}  // namespace torch::distributed::autograd
