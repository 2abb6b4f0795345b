#pragma once

#include <span>
#include <string>

#include <polyphony/board/curves.h>

namespace polyphony::board {

/// {"curves": [{"id", "name", "group", "points", "x", "y", "raw": {"x", "y"}}]}; `raw` where the
/// curve is smoothed.
std::string to_json(std::span<const DrawnCurve> curves);
/// {"bands": [{"group", "runs": [id], "x", "mean", "low", "high"}]}
std::string to_json(std::span<const DrawnBand> bands);

/// The same for a page that draws: four bytes (little-endian) with the length of a JSON head that
/// has "size" and "rawSize" in place of arrays; the head; zeros up to a multiple of four bytes;
/// then the arrays in the order of the JSON, as 32-bit floats. A browser reads a million points of
/// it in the time that it takes to parse a thousand of JSON.
std::string to_binary(std::span<const DrawnCurve> curves);
std::string to_binary(std::span<const DrawnBand> bands);

}  // namespace polyphony::board
