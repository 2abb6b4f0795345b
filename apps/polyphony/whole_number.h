#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include <CLI/CLI.hpp>

namespace polyphony::app {

/// A word of decimal digits, with leading zeros or without, and maybe a minus; nothing for another,
/// and for a number that is too large.
std::optional<std::int64_t> read_whole_number(std::string_view word);

/// For options that are whole numbers, given to CLI::Option::transform: CLI11 alone
/// reads 010 as octal and 0x10 as hexadecimal, and takes the largest number there is for one that
/// is too large.
CLI::Validator whole_number(std::int64_t least,
                            std::int64_t most = std::numeric_limits<std::int64_t>::max());

}  // namespace polyphony::app
