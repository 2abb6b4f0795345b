#pragma once

#include <polyphony/base/file_reader.h>
#include <polyphony/tensor/value.h>

namespace polyphony::tensor {

/// Whether a file is what torch.save wrote before PyTorch 1.6: pickles and raw storages, no zip.
/// Many weights of the hub are (bert-base-uncased's pytorch_model.bin).
bool is_legacy_archive(const FileReader& file);

/// Reads tensors and plain data from such a file; every storage straight into its own memory.
/// @throws DataError naming the file where it is damaged or wants to run code
Value load_legacy_archive(const FileReader& file);

}  // namespace polyphony::tensor
