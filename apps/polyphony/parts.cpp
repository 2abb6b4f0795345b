#include "parts.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::app {

void* open_part_symbol(const std::string& library, const char* symbol) {
  // By its whole path where it lies beside the program: a sanitizer's dlopen does not know the
  // program's run path, by which an installed one is found.
  std::error_code none;
  const auto beside =
      std::filesystem::read_symlink("/proc/self/exe", none).replace_filename(library);
  const std::string path = std::filesystem::exists(beside, none) ? beside.string() : library;
  void* opened = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (opened == nullptr) {
    throw IoError(fmt::format("cannot load {}: {}", path, dlerror()),
                  "build it: cmake --build --preset release; it lies beside the program");
  }
  void* entry = dlsym(opened, symbol);
  if (entry == nullptr) {
    throw IoError(fmt::format("{} is of another version", library), "build both anew");
  }
  return entry;
}

}  // namespace polyphony::app
