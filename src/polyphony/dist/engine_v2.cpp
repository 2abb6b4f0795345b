#include <polyphony/dist/engine.h>

#include <algorithm>

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

namespace polyphony::dist {

c10::intrusive_ptr<c10d::ProcessGroup> group_over(
    const c10::intrusive_ptr<c10d::Store>& store,
    const c10::intrusive_ptr<c10d::ProcessGroupGloo>& gloo) {
  constexpr auto kGloo = c10d::ProcessGroup::BackendType::GLOO;
  auto group = c10::make_intrusive<c10d::ProcessGroup>(store, gloo->getRank(), gloo->getSize());
  group->setBackend(c10::DeviceType::CPU, kGloo, gloo);
  group->setDefaultBackend(kGloo);
  return group;
}

std::unique_ptr<c10d::Reducer> make_reducer(const ReducerOptions& options,
                                            const c10::intrusive_ptr<c10d::ProcessGroup>& group) {
  const std::vector<bool> sparse(options.parameters.size(), false);
  auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(
      options.parameters, {options.first_bucket_bytes, options.bucket_bytes}, sparse));
  std::reverse(buckets.begin(), buckets.end());
  return std::make_unique<c10d::Reducer>(
      options.parameters, buckets, group, sparse, static_cast<std::int64_t>(options.bucket_bytes),
      options.find_unused_parameters, options.gradient_as_bucket_view, options.names,
      static_cast<std::int64_t>(options.first_bucket_bytes),
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
      /*bucket_bytes_cap_list=*/std::vector<std::int64_t>{});
}

}  // namespace polyphony::dist
