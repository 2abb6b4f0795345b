#pragma once

#include <cstddef>
#include <filesystem>

// Files of lines that one process after another appends to: what a killed one left torn.

namespace polyphony {

/// Bytes up to the end of the last whole line; 0 where there is none.
/// @param descriptor  open for reading; its place is not moved
/// @throws IoError naming the path and the system's reason
std::size_t whole_lines(int descriptor, const std::filesystem::path& path);

/// Ends a last line that is not ended, so that the next one begins on its own. Nothing where the
/// file is not there, empty, or cannot be written.
void end_last_line(const std::filesystem::path& path);

}  // namespace polyphony
