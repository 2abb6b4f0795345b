#include <polyphony/dist/engine.h>

#include <algorithm>

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

namespace polyphony::dist {

c10::intrusive_ptr<c10d::ProcessGroup> group_over(
    const c10::intrusive_ptr<c10d::Store>& /*store*/,
    const c10::intrusive_ptr<c10d::ProcessGroupGloo>& gloo) {
  return gloo;
}

std::unique_ptr<c10d::Reducer> make_reducer(const ReducerOptions& options,
                                            const c10::intrusive_ptr<c10d::ProcessGroup>& group) {
  const std::vector<bool> sparse(options.parameters.size(), false);
  auto [buckets, limits] = c10d::compute_bucket_assignment_by_size(
      options.parameters, {options.first_bucket_bytes, options.bucket_bytes}, sparse);
  std::reverse(buckets.begin(), buckets.end());
  std::reverse(limits.begin(), limits.end());
  return std::make_unique<c10d::Reducer>(options.parameters, buckets, limits, group, sparse,
                                         static_cast<std::int64_t>(options.bucket_bytes),
                                         options.find_unused_parameters,
                                         options.gradient_as_bucket_view, options.names,
                                         static_cast<std::int64_t>(options.first_bucket_bytes));
}

}  // namespace polyphony::dist
