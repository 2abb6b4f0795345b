#pragma once

#include <polyphony/config/yaml/node.h>
#include <polyphony/tensor/value.h>

namespace polyphony::tensor {

/// A configuration as a checkpoint keeps it.
Value value_of(const config::Node& node);

/// The same with tensors of its own.
Value copy_of(const Value& value);

}  // namespace polyphony::tensor
