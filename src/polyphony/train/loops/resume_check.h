#pragma once

#include <filesystem>

#include <polyphony/tensor/value.h>

namespace polyphony::train {

/// Looks through the numbers that an exact resume counts with, before any is used.
/// @param exact  our own part of a checkpoint
/// @throws DataError naming the file and the number if one cannot be
void check_exact_state(const tensor::Value& exact, const std::filesystem::path& path);

}  // namespace polyphony::train
