#include <polyphony/dist/data_parallel.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <ATen/ops/cat.h>
#include <ATen/ops/flatten.h>
#include <ATen/ops/narrow.h>
#include <ATen/ops/reshape.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <polyphony/dist/engine.h>

namespace polyphony::dist {
namespace {

using tensor::NamedTensors;
using torch::autograd::variable_list;
/// LibTorch counts its nodes' owners by std::shared_ptr, and in 2.15 by c10::intrusive_ptr.
using AccumulatorPtr =
    decltype(torch::autograd::impl::grad_accumulator(std::declval<const at::Tensor&>()));

/// Averages a piece of the gradients.
class Average : public c10d::CommHookInterface {
 public:
  explicit Average(ProcessGroup& group) : group_(group) {}

  c10::intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket& bucket) override {
    at::Tensor& gradients = bucket.getBufferRef();
    gradients.div_(group_.size());
    return group_.begin_all_reduce(gradients);
  }

  at::Tensor parseHookResult(const c10::IValue& result) override { return result.toTensor(); }

 private:
  ProcessGroup& group_;
};

/// Remembers that a parameter's gradient is complete.
class Mark : public torch::autograd::FunctionPostHook {
 public:
  explicit Mark(std::shared_ptr<std::vector<char>> marks, std::size_t index)
      : marks_(std::move(marks)), index_(index) {}

  variable_list operator()(const variable_list& outputs, const variable_list&) override {
    (*marks_)[index_] = 1;
    return outputs;
  }

 private:
  std::shared_ptr<std::vector<char>> marks_;
  std::size_t index_;
};

std::string description(const NamedTensors& tensors) {
  std::string text;
  for (const auto& [name, tensor] : tensors) {
    text += fmt::format("{} {} [{}]{}\n", name, c10::toString(tensor.scalar_type()),
                        fmt::join(tensor.sizes(), ", "), tensor.requires_grad() ? "" : " frozen");
  }
  return text;
}

/// The first line of `text` that `other` has not in its place.
std::string first_difference(const std::string& text, const std::string& other) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = text.find('\n', begin);
    if (other.compare(begin, end + 1 - begin, text, begin, end + 1 - begin) != 0) {
      return text.substr(begin, end - begin);
    }
    begin = end + 1;
  }
  return "nothing";
}

/// @throws ConfigError on every process alike if one has another model than rank 0
void compare_models(ProcessGroup& group, const NamedTensors& parameters) {
  const std::vector<std::string> models = group.all_gather(description(parameters));
  for (std::size_t rank = 1; rank < models.size(); ++rank) {
    if (models[rank] == models[0]) continue;
    throw ConfigError(
        fmt::format("{} has another model than rank 0: its parameter is {}, rank 0's is {}",
                    group.name(static_cast<int>(rank)), first_difference(models[rank], models[0]),
                    first_difference(models[0], models[rank])),
        "start all processes with the same command line, configuration and program");
  }
}

}  // namespace

struct DistributedDataParallel::Impl {
  ProcessGroup& group;
  DataParallelOptions options;
  NamedTensors buffers;
  std::vector<std::string> names;
  std::shared_ptr<std::vector<char>> marks;
  /// They live as long as the parameters' accumulators, which autograd itself holds weakly.
  std::vector<AccumulatorPtr> accumulators;
  std::unique_ptr<c10d::Reducer> reducer;

  void open_reducer(const NamedTensors& parameters);
  void watch_gradients(const std::vector<at::Tensor>& trained);
  void check_gradients() const;
};

void DistributedDataParallel::Impl::open_reducer(const NamedTensors& parameters) {
  std::vector<at::Tensor> trained;
  std::unordered_map<std::size_t, std::string> names_by_index;
  for (const auto& [name, tensor] : parameters) {
    if (!tensor.requires_grad()) continue;
    names_by_index.emplace(trained.size(), name);
    names.push_back(name);
    trained.push_back(tensor);
  }
  if (trained.empty()) {
    throw ConfigError("strategy=ddp: every parameter is frozen; there is nothing to train",
                      "leave some parameters out of task.freeze");
  }
  watch_gradients(trained);
  constexpr double kMegabyte = 1024 * 1024;
  ReducerOptions parts;
  parts.bucket_bytes = static_cast<std::size_t>(options.bucket_cap_mb * kMegabyte);
  parts.first_bucket_bytes =
      std::min<std::size_t>(c10d::kDefaultFirstBucketBytes, parts.bucket_bytes);
  parts.find_unused_parameters = options.find_unused_parameters;
  parts.gradient_as_bucket_view = options.gradient_as_bucket_view;
  parts.parameters = std::move(trained);
  parts.names = std::move(names_by_index);
  reducer = make_reducer(parts, group.engine());
  reducer->register_comm_hook(std::make_unique<Average>(group));
}

void DistributedDataParallel::Impl::watch_gradients(const std::vector<at::Tensor>& trained) {
  marks = std::make_shared<std::vector<char>>(trained.size(), 0);
  for (std::size_t i = 0; i < trained.size(); ++i) {
    accumulators.push_back(torch::autograd::impl::grad_accumulator(trained[i]));
    accumulators.back()->add_post_hook(std::make_unique<Mark>(marks, i));
  }
}

void DistributedDataParallel::Impl::check_gradients() const {
  std::vector<std::string> unused;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if ((*marks)[i] == 0) unused.push_back(names[i]);
  }
  if (unused.empty()) return;
  throw ConfigError(
      fmt::format("{} parameters got no gradient in this step on rank {}: {}", unused.size(),
                  group.rank(), fmt::join(unused, ", ")),
      "freeze them (task.freeze), or set find_unused_parameters=true where they are used in some "
      "steps only");
}

DistributedDataParallel::DistributedDataParallel(ProcessGroup& group,
                                                 const NamedTensors& parameters,
                                                 NamedTensors buffers, DataParallelOptions options)
    : impl_(new Impl{group, options, std::move(buffers), {}, {}, {}, {}}) {
  compare_models(group, parameters);
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : parameters) group.broadcast(tensor.detach());
  broadcast_buffers();
  impl_->open_reducer(parameters);
}

DistributedDataParallel::~DistributedDataParallel() = default;

void DistributedDataParallel::broadcast_buffers() {
  std::map<at::ScalarType, std::vector<at::Tensor>> by_type;
  for (const auto& [name, tensor] : impl_->buffers) {
    by_type[tensor.scalar_type()].push_back(tensor.detach());
  }
  for (const auto& [type, tensors] : by_type) {  // one exchange for all of a type
    std::vector<at::Tensor> flat;
    for (const at::Tensor& tensor : tensors) flat.push_back(at::flatten(tensor));
    const at::Tensor together = at::cat(flat);
    impl_->group.broadcast(together);
    std::int64_t begin = 0;
    for (const at::Tensor& tensor : tensors) {
      const at::Tensor mine = at::narrow(together, 0, begin, tensor.numel());
      tensor.copy_(at::reshape(mine, tensor.sizes()));
      begin += tensor.numel();
    }
  }
}

void DistributedDataParallel::backward(const at::Tensor& loss, GradientSync sync) {
  if (sync == GradientSync::kLater) {
    loss.backward();
    return;
  }
  std::fill(impl_->marks->begin(), impl_->marks->end(), 0);
  try {
    impl_->reducer->rebuild_buckets();
    impl_->reducer->prepare_for_backward(impl_->options.find_unused_parameters
                                             ? std::vector<at::Tensor>{loss}
                                             : std::vector<at::Tensor>{});
    loss.backward();
  } catch (const PeerLost&) {
    throw;
  } catch (const std::exception& error) {
    // The Reducer also exchanges by itself (it rebuilds its buckets once), in Gloo's own words.
    const bool gloo = std::string_view(error.what()).find("gloo") != std::string_view::npos;
    if (gloo || impl_->group.broken()) impl_->group.explain(error.what());
    throw;
  }
  if (!impl_->options.find_unused_parameters) impl_->check_gradients();
}

}  // namespace polyphony::dist
