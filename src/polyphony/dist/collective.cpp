#include <polyphony/dist/collective.h>

#include <algorithm>
#include <cstring>

#include <ATen/ops/argsort.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include <polyphony/base/signals.h>
#include <polyphony/tensor/pickle.h>

namespace polyphony::dist {
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

at::Tensor in_order(const at::Tensor& rows, const at::Tensor& index) {
  return rows.defined() ? at::index_select(rows, 0, at::argsort(index)) : rows;
}

}  // namespace

bool Collective::all(bool mine) {
  double votes = mine ? 1 : 0;
  reduce({&votes, 1}, Reduction::kMin);
  return votes > 0;
}

bool Collective::any(bool mine) { return !all(!mine); }

tensor::Value Collective::gather(tensor::Value mine) {
  tensor::Value all = tensor::Value::list();
  all.append(std::move(mine));
  return all;
}

at::Tensor Collective::gather_rows(const at::Tensor& rows, const at::Tensor& index) {
  return in_order(rows, index);
}

GroupCollective::GroupCollective(std::unique_ptr<ProcessGroup> group)
    : group_(std::move(group)), rank_(group_->rank()), world_size_(group_->size()) {}

GroupCollective::~GroupCollective() = default;

void GroupCollective::reduce(std::span<double> values, Reduction reduction) {
  group_->all_reduce(values, reduction);
}

int GroupCollective::agreed_signal(int mine) {
  const int signal = signal_of_strength(static_cast<int>(group_->max(strength_of(mine))));
  stopping_ = stopping_ || signal != 0;
  return signal;
}

std::vector<double> GroupCollective::gather_numbers(std::span<const double> mine) {
  at::Tensor numbers = at::empty({std::ssize(mine)}, at::kDouble);
  std::copy(mine.begin(), mine.end(), numbers.data_ptr<double>());
  const at::Tensor all = group_->all_gather_rows(numbers);
  return {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()};
}

tensor::Value GroupCollective::gather(tensor::Value mine) {
  tensor::Value all = tensor::Value::list();
  const std::vector<std::string> packed = group_->all_gather(pack(mine));
  for (std::size_t i = 0; i < packed.size(); ++i) {
    all.append(unpack(packed[i], group_->name(static_cast<int>(i))));
  }
  return all;
}

at::Tensor GroupCollective::gather_rows(const at::Tensor& rows, const at::Tensor& index) {
  const at::Tensor all = group_->all_gather_rows(rows);
  return in_order(all, group_->all_gather_rows(index));
}

void GroupCollective::fail(const std::exception& error) {
  if (!group_) return;
  if (stopping_ && dynamic_cast<const Interrupted*>(&error) != nullptr) {
    group_.reset();  // all stop together by a signal: nobody is lost, and nobody waits
  } else {
    group_->fail(error.what());
  }
}

}  // namespace polyphony::dist
