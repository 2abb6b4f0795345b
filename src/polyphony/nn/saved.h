#pragma once

#include <utility>

#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/custom_function.h>

namespace polyphony::nn {

template <class T>
struct Kept : torch::CustomClassHolder {
  explicit Kept(T held) : value(std::move(held)) {}
  T value;
};

/// Keeps one value of any type for the backward pass of an autograd function. Tensors that are
/// inputs or outputs of the function go through `save_for_backward` instead.
template <class T>
void keep(torch::autograd::AutogradContext* context, T value) {
  context->saved_data["kept"] = c10::IValue::make_capsule(
      c10::intrusive_ptr<torch::CustomClassHolder>(c10::make_intrusive<Kept<T>>(std::move(value))));
}

/// The value that `keep` was given.
template <class T>
const T& kept(torch::autograd::AutogradContext* context) {
  const auto holder = context->saved_data.at("kept").toCapsule();
  return static_cast<const Kept<T>&>(*holder).value;
}

/// Ends a backward pass that kept much: its memory goes at once, not with the graph.
inline void release(torch::autograd::AutogradContext* context) { context->saved_data.clear(); }

}  // namespace polyphony::nn
