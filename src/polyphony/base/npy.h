#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace polyphony {

/// A NumPy array of floats, row-major.
struct NpyArray {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// Reads float32 or float64 (narrowed), C order, little-endian, format 1.0 to 3.0.
/// @throws IoError where it cannot be read; DataError for another type, order, or a truncated file
NpyArray load_npy(const std::filesystem::path& path);
/// Writes format 1.0, float32, whole or not at all.
void save_npy(const std::filesystem::path& path, const NpyArray& array);

}  // namespace polyphony
