#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <ATen/core/Tensor.h>

namespace polyphony::tensor {

using TensorMap = std::map<std::string, at::Tensor>;

/// Tensors of a .safetensors file: float32, float64, int32, int64, uint8 and bool.
/// @throws IoError where it cannot be read; DataError naming file and tensor where it is damaged
TensorMap load_safetensors(const std::filesystem::path& path);
/// Writes the file whole or not at all. @throws IoError; DataError on another type of tensor
void save_safetensors(const std::filesystem::path& path, const TensorMap& tensors);

}  // namespace polyphony::tensor
