#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

namespace polyphony {

/// A directory for one test process's files: tests of one executable run side by side.
inline std::filesystem::path scratch_directory() {
  const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) /
                                     ("polyphony-test-" + std::to_string(::getpid()));
  std::filesystem::create_directories(path);
  return path;
}

}  // namespace polyphony
