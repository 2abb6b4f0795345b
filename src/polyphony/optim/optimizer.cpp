#include <polyphony/optim/optimizer.h>

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::optim {
namespace {

using tensor::Value;

constexpr std::int64_t kChunk = 1 << 15;  // elements a thread takes at a time

at::Tensor zeros_for(const at::Tensor& parameter) {
  return at::zeros_like(parameter.detach(), at::MemoryFormat::Contiguous);
}

[[noreturn]] void misfit(const std::string& what) {
  throw DataError("the optimizer's state does not fit: " + what,
                  "resume with the configuration that the checkpoint was saved with");
}

}  // namespace

void Optimizer::attach(tensor::NamedTensors parameters) {
  ParamGroup group;
  group.parameters = std::move(parameters);
  group.lr = lr();
  group.weight_decay = weight_decay();
  std::vector<ParamGroup> groups;
  groups.push_back(std::move(group));
  attach(std::move(groups));
}

void Optimizer::attach(std::vector<ParamGroup> groups) {
  groups_ = std::move(groups);
  slots_.clear();
  for (ParamGroup& group : groups_) {
    group.initial_lr = group.lr;
    for (const auto& [name, parameter] : group.parameters) slots_.push_back({parameter, {}, 0});
  }
  if (slots_.empty()) {
    throw ConfigError("nothing to train: every parameter is frozen", "see task.freeze");
  }
}

void Optimizer::step(double gradient_scale) {
  const at::NoGradGuard no_grad;
  const std::size_t states = state_names().size();
  std::vector<Chunk> chunks;
  std::vector<Kernel> kernels;
  std::vector<std::size_t> kernel_of;  // of a chunk
  std::vector<at::Tensor> gradients;   // kept alive until the pass is done
  std::vector<Slot*> moved;
  std::size_t index = 0;
  for (const ParamGroup& group : groups_) {
    for (std::size_t i = 0; i < group.parameters.size(); ++i) {
      Slot& slot = slots_[index++];
      if (!slot.parameter.grad().defined()) continue;
      if (slot.state.empty()) {
        for (std::size_t s = 0; s < states; ++s) slot.state.push_back(zeros_for(slot.parameter));
      }
      kernels.push_back(kernel(group, slot.steps + 1, gradient_scale));
      moved.push_back(&slot);
      gradients.push_back(slot.parameter.grad().contiguous());
      const std::int64_t size = slot.parameter.numel();
      for (std::int64_t begin = 0; begin < size; begin += kChunk) {
        Chunk chunk{};
        chunk.parameter = slot.parameter.data_ptr<float>() + begin;
        chunk.gradient = gradients.back().data_ptr<float>() + begin;
        for (std::size_t s = 0; s < states; ++s) {
          chunk.state[s] = slot.state[s].data_ptr<float>() + begin;
        }
        chunk.size = std::min(kChunk, size - begin);
        chunks.push_back(chunk);
        kernel_of.push_back(kernels.size() - 1);
      }
    }
  }
  at::parallel_for(
      0, static_cast<std::int64_t>(chunks.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        for (auto c = static_cast<std::size_t>(begin); c < static_cast<std::size_t>(end); ++c) {
          kernels[kernel_of[c]](chunks[c]);
        }
      });
  for (Slot* slot : moved) ++slot->steps;
}

void Optimizer::zero_grad(ZeroGrad how) {
  for (const Slot& slot : slots_) {
    at::Tensor parameter = slot.parameter;
    if (!parameter.grad().defined()) continue;
    if (how == ZeroGrad::kRelease) {
      parameter.mutable_grad().reset();
    } else {
      parameter.mutable_grad().zero_();
    }
  }
}

Value Optimizer::state_dict() const {
  const std::vector<std::string> names = state_names();
  Value state = Value::dict();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].state.empty()) continue;
    Value entry = Value::dict();
    if (counts_steps()) {
      entry.set("step", Value(at::scalar_tensor(slots_[i].steps, at::kFloat)));
    }
    for (std::size_t s = 0; s < names.size(); ++s) entry.set(names[s], Value(slots_[i].state[s]));
    state.set(Value(static_cast<std::int64_t>(i)), std::move(entry));
  }
  Value groups = Value::list();
  std::int64_t next = 0;
  for (const ParamGroup& group : groups_) {
    Value entry = Value::dict();
    entry.set("lr", Value(group.lr));
    entry.set("weight_decay", Value(group.weight_decay));
    describe_group(entry);
    entry.set("initial_lr", Value(group.initial_lr));
    Value indices = Value::list();
    for (std::size_t i = 0; i < group.parameters.size(); ++i) indices.append(Value(next++));
    entry.set("params", std::move(indices));
    groups.append(std::move(entry));
  }
  Value dict = Value::dict();
  dict.set("state", std::move(state));
  dict.set("param_groups", std::move(groups));
  return dict;
}

void Optimizer::load_parameter(const Value& state, const std::string& name, Slot& slot) const {
  slot.state.clear();
  for (const std::string& part : state_names()) {
    const Value* saved = state.find(part);
    if (saved == nullptr || saved->kind() == Value::Kind::kNone) continue;
    const at::Tensor& tensor = saved->as_tensor();
    if (tensor.sizes() != slot.parameter.sizes()) {
      misfit(fmt::format("{} of '{}' has shape [{}], not [{}]", part, name,
                         fmt::join(tensor.sizes(), ","), fmt::join(slot.parameter.sizes(), ",")));
    }
    slot.state.push_back(zeros_for(slot.parameter).copy_(tensor));
  }
  if (!slot.state.empty() && slot.state.size() != state_names().size()) {
    misfit(fmt::format("'{}' lacks one of {}", name, fmt::join(state_names(), ", ")));
  }
  if (slot.state.empty() && !state_names().empty()) return;  // of another optimizer's class
  slot.steps = 1;  // a momentum that exists has seen a step
  const Value* step = state.find("step");
  if (step == nullptr) return;
  slot.steps = step->kind() == Value::Kind::kTensor
                   ? static_cast<std::int64_t>(step->as_tensor().item<double>())
                   : static_cast<std::int64_t>(step->as_float());
}

void Optimizer::load_state_dict(const Value& dict) {
  const std::vector<Value>& groups = dict.at("param_groups").items();
  if (groups.size() != groups_.size()) {
    misfit(fmt::format("{} groups of parameters, not {}", groups.size(), groups_.size()));
  }
  const at::NoGradGuard no_grad;
  std::vector<std::int64_t> indices;  // as saved, in the order of our slots
  std::vector<std::string> names;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::vector<Value>& saved = groups[g].at("params").items();
    if (saved.size() != groups_[g].parameters.size()) {
      misfit(fmt::format("group {} has {} parameters, not {}", g, saved.size(),
                         groups_[g].parameters.size()));
    }
    groups_[g].lr = groups[g].at("lr").as_float();
    const Value* initial = groups[g].find("initial_lr");
    if (initial != nullptr) groups_[g].initial_lr = initial->as_float();
    for (std::size_t i = 0; i < saved.size(); ++i) {
      indices.push_back(saved[i].as_int());
      names.push_back(groups_[g].parameters[i].first);
    }
  }
  for (Slot& slot : slots_) {
    slot.state.clear();
    slot.steps = 0;
  }
  for (const auto& [key, state] : dict.at("state").entries()) {
    const auto found = std::find(indices.begin(), indices.end(), key.as_int());
    if (found == indices.end()) misfit(fmt::format("no parameter has index {}", key.as_int()));
    const auto slot = static_cast<std::size_t>(found - indices.begin());
    load_parameter(state, names[slot], slots_[slot]);
  }
}

}  // namespace polyphony::optim
