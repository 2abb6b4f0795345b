#pragma once

#include <string>

#include <polyphony/record/sink.h>

namespace polyphony::record {

/// A PNG file, 8 bits RGB, not compressed.
/// @throws std::invalid_argument where the pixels do not fit width and height
std::string encode_png(const Image& image);

}  // namespace polyphony::record
