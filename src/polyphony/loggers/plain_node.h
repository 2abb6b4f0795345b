#pragma once

#include <polyphony/config/bind/fields.h>
#include <polyphony/tensor/value.h>

namespace polyphony::loggers {

/// Hyper-parameters as a configuration node; a tensor becomes its shape, e.g. "tensor[3, 4]".
config::Node plain_node(const tensor::Value& value);

}  // namespace polyphony::loggers
