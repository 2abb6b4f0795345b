#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace polyphony {

/// The whole file as bytes.
/// @throws IoError naming the path and the system's reason
std::string read_file(const std::filesystem::path& path);

/// Writes the file whole or not at all: temporary file beside it, fsync, rename.
/// Creates missing parent directories.
/// @throws IoError naming the path, the system's reason and what to check; the old file is
/// untouched
void write_file(const std::filesystem::path& path, std::string_view bytes);
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

/// Creates the directory and its parents, and tries that it can be written to.
/// @throws IoError naming the path and the system's reason
void make_directory(const std::filesystem::path& path);

}  // namespace polyphony
