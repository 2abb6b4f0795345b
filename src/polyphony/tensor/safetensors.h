#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/base/file_reader.h>

namespace polyphony::tensor {

using TensorMap = std::map<std::string, at::Tensor>;

/// Where a tensor lies in a .safetensors file, and what it is: float16, bfloat16, float32, float64,
/// int8 to int64, uint8 or bool.
struct SafetensorsEntry {
  at::ScalarType type = at::kFloat;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  ///< in the file
  std::uint64_t size = 0;   ///< in bytes
};
struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry> tensors;
  std::map<std::string, std::string> metadata;  ///< `__metadata__`
};
/// Checked against the file's size; no tensor is read.
/// @throws DataError naming file and tensor where it is damaged
SafetensorsHeader read_safetensors_header(const FileReader& file);

using NamedTensor = std::pair<std::string, at::Tensor>;
/// What stands before the tensors' own bytes, which follow in their order.
/// @param alignment  of the first of these bytes
/// @throws DataError on another type of tensor
std::string safetensors_header(std::span<const NamedTensor> tensors,
                               const std::map<std::string, std::string>& metadata,
                               std::size_t alignment = 8);

/// A .safetensors file whose tensors are read one at a time, each straight into its own memory.
class SafetensorsFile {
 public:
  /// @throws IoError where it cannot be read; DataError naming file and tensor where it is damaged
  explicit SafetensorsFile(const std::filesystem::path& path);

  /// In the order of their names.
  std::vector<std::string> names() const;
  /// @throws IoError, DataError where the file has changed; std::out_of_range for another name
  at::Tensor read(const std::string& name) const;

 private:
  FileReader file_;
  std::map<std::string, SafetensorsEntry> entries_;
};

/// All tensors of a .safetensors file. @throws as SafetensorsFile
TensorMap load_safetensors(const std::filesystem::path& path);
/// Writes the file whole or not at all.
/// @param metadata  the header's __metadata__, e.g. {"format", "pt"}, which Transformers asks for
/// @throws IoError; DataError on another type of tensor
void save_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace polyphony::tensor
