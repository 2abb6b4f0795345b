#pragma once

#include <cstddef>
#include <string_view>

#include <polyphony/text/tokenizer_parts.h>

namespace polyphony::text {

/// How many tokens of a text are worth making, and at which end others may be missing.
struct TokenLimit {
  std::size_t tokens = SIZE_MAX;
  Side side = Side::kRight;
};

/// The tokens of one text without special ones.
/// @param text  any bytes; @param run  receives them
void encode_run(std::string_view text, const TokenizerParts& parts, TokenLimit limit,
                Workspace& work, TokenRun& run);

}  // namespace polyphony::text
