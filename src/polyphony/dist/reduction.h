#pragma once

namespace polyphony::dist {

/// How the values of all processes, or of an epoch, become one.
enum class Reduction { kMean, kSum, kMin, kMax };

}  // namespace polyphony::dist
