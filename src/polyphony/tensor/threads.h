#pragma once

#include <string>

namespace polyphony::tensor {

/// How many threads compute.
struct Threads {
  int kernels = 1;  ///< LibTorch's and oneDNN's (OpenMP)
  int blas = 1;  ///< OpenBLAS's own, beside them: two pools that both spin can cost half the speed
};

/// What is fastest here and now: products and element-wise loops as a training step has them are
/// timed with 1, 2, 4, … `most` threads, then OpenBLAS with as many and with one. Takes less than
/// 0.1 s. Of choices within 5% of the fastest, the one with the fewest threads.
/// @param most  at least 1
Threads measure_threads(int most);

}  // namespace polyphony::tensor
