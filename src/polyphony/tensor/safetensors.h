#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <ATen/core/Tensor.h>

namespace polyphony::tensor {

using TensorMap = std::map<std::string, at::Tensor>;

/// Tensors of a .safetensors file: float16, bfloat16, float32, float64, int8 to int64, uint8 and
/// bool.
/// @throws IoError where it cannot be read; DataError naming file and tensor where it is damaged
TensorMap load_safetensors(const std::filesystem::path& path);
/// Writes the file whole or not at all.
/// @param metadata  the header's __metadata__, e.g. {"format", "pt"}, which Transformers asks for
/// @throws IoError; DataError on another type of tensor
void save_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace polyphony::tensor
