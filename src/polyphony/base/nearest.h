#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace polyphony::base {

/// The candidate with the smallest edit distance to `name`; "" where none is near enough to be
/// meant.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace polyphony::base
