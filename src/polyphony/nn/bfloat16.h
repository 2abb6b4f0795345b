#pragma once

namespace polyphony::nn {

/// Whether oneDNN computes in bfloat16 here, as it says itself: from AVX-512 on. If it does not,
/// what it would compute is computed in float32 and rounded: the same results, and no faster.
bool onednn_has_bfloat16();

}  // namespace polyphony::nn
