#include <polyphony/train/ddp_strategy.h>

#include <algorithm>
#include <cstring>

#include <ATen/ops/argsort.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <c10/core/ScalarType.h>

#include <polyphony/base/rng.h>
#include <polyphony/base/signals.h>
#include <polyphony/tensor/pickle.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/task.h>

namespace polyphony::train {
namespace {

/// A value as bytes: its pickle, then its tensors' storages, each behind its length.
std::string pack(const tensor::Value& value) {
  std::vector<at::Tensor> storages;
  std::string bytes;
  const auto add = [&bytes](const void* data, std::uint64_t size) {
    bytes.append(reinterpret_cast<const char*>(&size), sizeof(size));
    bytes.append(static_cast<const char*>(data), size);
  };
  const std::string pickled = tensor::pickle(value, storages);
  add(pickled.data(), pickled.size());
  for (const at::Tensor& storage : storages) add(storage.data_ptr(), storage.nbytes());
  return bytes;
}

tensor::Value unpack(const std::string& bytes, const std::string& source) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < bytes.size();) {
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data() + at, sizeof(size));
    parts.push_back(bytes.substr(at + sizeof(size), size));
    at += sizeof(size) + size;
  }
  const auto load = [&parts](const tensor::StorageRef& ref) {
    const std::string& storage = parts.at(static_cast<std::size_t>(std::stol(ref.key)) + 1);
    at::Tensor tensor = at::empty({ref.elements}, ref.type);
    std::memcpy(tensor.data_ptr(), storage.data(), std::min(storage.size(), tensor.nbytes()));
    return tensor;
  };
  return tensor::unpickle(parts.at(0), load, source);
}

}  // namespace

DdpStrategy::DdpStrategy(std::unique_ptr<dist::ProcessGroup> group,
                         dist::DataParallelOptions options)
    : group_(std::move(group)),
      rank_(group_->rank()),
      world_size_(group_->size()),
      options_(options) {}

DdpStrategy::~DdpStrategy() = default;

void DdpStrategy::setup(Task& task) {
  const NamedTensors parameters = task.parameters();
  NamedTensors buffers;
  for (const auto& [name, tensor] : task.state()) {
    const bool learnt = std::any_of(parameters.begin(), parameters.end(), [&](const auto& other) {
      return other.second.unsafeGetTensorImpl() == tensor.unsafeGetTensorImpl();
    });
    if (!learnt) buffers.emplace_back(name, tensor);
  }
  parallel_ = std::make_unique<dist::DistributedDataParallel>(*group_, parameters,
                                                              std::move(buffers), options_);
  // Every process draws dropout masks of its own; rank 0's are those of a run alone.
  if (rank() > 0) tensor::seed_everything(derive_seed(tensor::current_seed(), rank()));
}

void DdpStrategy::teardown() { parallel_.reset(); }

void DdpStrategy::fail(const std::exception& error) {
  if (!group_) return;
  if (stopping_ && dynamic_cast<const Interrupted*>(&error) != nullptr) {
    // All processes stop together by a signal: nobody is lost, and nobody waits for the others.
    teardown();
    group_.reset();
    return;
  }
  group_->fail(error.what());
}

void DdpStrategy::share_buffers() {
  if (parallel_) parallel_->broadcast_buffers();
}

at::Tensor DdpStrategy::training_step(Task& task, const data::Batch& batch, std::int64_t index,
                                      GradientSync sync) {
  // As PyTorch does: before the first forward pass behind each exchange of gradients.
  if (buffers_due_) share_buffers();
  buffers_due_ = sync == GradientSync::kNow;
  return Strategy::training_step(task, batch, index, sync);
}

void DdpStrategy::backward(const at::Tensor& loss, GradientSync sync) {
  parallel_->backward(loss, 1.0,
                      sync == GradientSync::kNow ? dist::Sync::kNow : dist::Sync::kLater);
}

void DdpStrategy::barrier(const char*) { group_->barrier(); }

void DdpStrategy::reduce(std::span<double> values, ReduceFx fx) {
  switch (fx) {
    case ReduceFx::kMean:
      group_->all_reduce(values);
      for (double& value : values) value /= group_->size();
      return;
    case ReduceFx::kSum:
      group_->all_reduce(values);
      return;
    case ReduceFx::kMin:
      group_->all_reduce(values, dist::Reduction::kMin);
      return;
    case ReduceFx::kMax:
      group_->all_reduce(values, dist::Reduction::kMax);
      return;
  }
}

bool DdpStrategy::decide(bool mine, bool all) {
  double votes = mine ? 1 : 0;
  group_->all_reduce(std::span(&votes, 1));
  return all ? votes == group_->size() : votes > 0;
}

std::string DdpStrategy::broadcast(std::string text) { return group_->broadcast(text); }

int DdpStrategy::agreed_signal(int mine) {
  const int signal = signal_of_strength(static_cast<int>(group_->max(strength_of(mine))));
  stopping_ = stopping_ || signal != 0;
  return signal;
}

tensor::Value DdpStrategy::gather(tensor::Value mine) {
  tensor::Value all = tensor::Value::list();
  const std::vector<std::string> packed = group_->all_gather(pack(mine));
  for (std::size_t i = 0; i < packed.size(); ++i) {
    all.append(unpack(packed[i], group_->name(static_cast<int>(i))));
  }
  return all;
}

std::vector<double> DdpStrategy::gather_numbers(std::span<const double> mine) {
  at::Tensor numbers = at::empty({std::ssize(mine)}, at::kDouble);
  std::copy(mine.begin(), mine.end(), numbers.data_ptr<double>());
  const at::Tensor all = group_->all_gather_rows(numbers);
  return {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()};
}

at::Tensor DdpStrategy::gather_rows(const at::Tensor& rows, const at::Tensor& index) {
  const at::Tensor all = group_->all_gather_rows(rows);
  const at::Tensor indices = group_->all_gather_rows(index);
  return all.defined() ? at::index_select(all, 0, at::argsort(indices)) : all;
}

}  // namespace polyphony::train
