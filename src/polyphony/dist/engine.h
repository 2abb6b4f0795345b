#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>

namespace c10d {
class ProcessGroup;
class ProcessGroupGloo;
class Reducer;
class Store;
}  // namespace c10d

/// What LibTorch's versions name differently in c10d: engine_v1.cpp serves 1.13, engine_v2.cpp 2.x.
namespace polyphony::dist {

/// The group of processes that exchange over `gloo`.
c10::intrusive_ptr<c10d::ProcessGroup> group_over(
    const c10::intrusive_ptr<c10d::Store>& store,
    const c10::intrusive_ptr<c10d::ProcessGroupGloo>& gloo);

/// What c10d::Reducer is made of: PyTorch's DistributedDataParallel gives it the same.
struct ReducerOptions {
  std::vector<at::Tensor> parameters;  ///< those that are trained
  std::unordered_map<std::size_t, std::string> names;
  std::size_t first_bucket_bytes = 0;
  std::size_t bucket_bytes = 0;
  bool find_unused_parameters = false;
  bool gradient_as_bucket_view = false;
};

/// With buckets in the order in which gradients come about: the reverse of the parameters'.
std::unique_ptr<c10d::Reducer> make_reducer(const ReducerOptions& options,
                                            const c10::intrusive_ptr<c10d::ProcessGroup>& group);

}  // namespace polyphony::dist
