#pragma once

#include <cstdint>
#include <limits>

#include <CLI/CLI.hpp>

namespace polyphony::app {

/// For options that are whole numbers, given to CLI::Option::transform: decimal digits, with
/// leading zeros or without. CLI11 alone reads 010 as octal and 0x10 as hexadecimal, and takes the
/// largest number there is for one that is too large.
CLI::Validator whole_number(std::int64_t least,
                            std::int64_t most = std::numeric_limits<std::int64_t>::max());

}  // namespace polyphony::app
