#pragma once

#include <string>

namespace polyphony::app {

/// The function of that name in a part of the program that is opened at run time.
/// @throws IoError where the library is not there or is of another version
void* open_part_symbol(const std::string& library, const char* symbol);

template <typename Function>
Function open_part(const std::string& library, const char* symbol) {
  return reinterpret_cast<Function>(open_part_symbol(library, symbol));
}

}  // namespace polyphony::app
