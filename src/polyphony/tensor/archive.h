#pragma once

#include <filesystem>

#include <polyphony/base/fingerprint.h>
#include <polyphony/tensor/value.h>

namespace polyphony::tensor {

/// Writes PyTorch's zip archive, which Python's torch.load reads; whole or not at all.
/// @return what was written
Fingerprint save_archive(const std::filesystem::path& path, const Value& value);
/// Reads what torch.save or save_archive wrote: tensors and plain data only.
/// @throws IoError where it cannot be read; DataError where it is damaged or wants to run code
Value load_archive(const std::filesystem::path& path);

}  // namespace polyphony::tensor
