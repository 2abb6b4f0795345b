#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/config/bind/fields.h>
#include <polyphony/tensor/named_tensors.h>
#include <polyphony/tensor/value.h>

namespace polyphony::optim {

/// Parameters that share their settings: torch.optim's `param_groups`.
struct ParamGroup {
  tensor::NamedTensors parameters;
  double lr = 0;          ///< of the next step; a schedule moves it
  double initial_lr = 0;  ///< what a schedule starts from
  double weight_decay = 0;
};

/// Moves parameters along their gradients. Parameters are float32 and contiguous; one without a
/// gradient is left alone.
class Optimizer {
 public:
  static constexpr const char* kKind = "Optimizer";
  virtual ~Optimizer() = default;

  /// Takes the parameters, as one group with the options' rate and decay. Called once, or the other
  /// one. @throws ConfigError if there are none
  void attach(tensor::NamedTensors parameters);
  /// Takes groups of their own rate and decay.
  void attach(std::vector<ParamGroup> groups);

  /// Moves every parameter at its group's rate; if it throws, none has moved.
  /// @param gradient_scale  what gradients are multiplied by on the way, e.g. to clip them
  void step(double gradient_scale = 1.0);
  /// Forgets gradients; `keep_storage` zeroes them in place, for gradients that are views.
  enum class ZeroGrad { kRelease, kKeepStorage };
  void zero_grad(ZeroGrad how = ZeroGrad::kRelease);

  std::span<ParamGroup> groups() { return groups_; }
  std::span<const ParamGroup> groups() const { return groups_; }
  /// The name that learning-rate monitors show, e.g. "AdamW".
  virtual std::string name() const = 0;
  /// The share of the last direction that is kept, for monitors; 0 if there is none.
  virtual double momentum() const { return 0; }

  /// torch.optim's layout: `state` by a parameter's index, and `param_groups`.
  tensor::Value state_dict() const;
  /// @throws DataError if groups, parameters or shapes differ from the attached ones
  void load_state_dict(const tensor::Value& state);

 protected:
  /// What one parameter's update reads and writes.
  struct Slot {
    at::Tensor parameter;
    std::vector<at::Tensor> state;  ///< as `state_names`; undefined before the first step
    std::int64_t steps = 0;
  };
  /// A piece of one parameter, small enough to share the work between threads.
  struct Chunk {
    float* parameter;
    const float* gradient;
    float* state[3];
    std::int64_t size;
  };

  virtual double lr() const = 0;
  virtual double weight_decay() const = 0;
  /// Names of the per-parameter tensors, e.g. exp_avg; at most three.
  virtual std::vector<std::string> state_names() const = 0;
  /// Prepares the update of one parameter, @param step  its number, from 1; the function that it
  /// returns moves a chunk.
  using Kernel = std::function<void(const Chunk&)>;
  virtual Kernel kernel(const ParamGroup& group, std::int64_t step,
                        double gradient_scale) const = 0;
  /// The group's settings beside lr, initial_lr and weight_decay, as torch.optim keeps them.
  virtual void describe_group(tensor::Value& group) const = 0;
  /// Whether torch.optim counts steps a parameter.
  virtual bool counts_steps() const { return true; }

 private:
  void load_parameter(const tensor::Value& state, const std::string& name, Slot& slot) const;

  std::vector<ParamGroup> groups_;
  std::vector<Slot> slots_;  ///< of all groups, in order
};

/// The norm of all gradients together.
double grad_norm(const Optimizer& optimizer);
/// What gradients are to be multiplied by for their norm to be at most max_norm; 1 if it is.
double clip_scale(double norm, double max_norm);
/// Cuts every gradient's elements to [-limit, limit].
void clip_grad_value(const Optimizer& optimizer, double limit);

}  // namespace polyphony::optim
