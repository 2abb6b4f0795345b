#include <polyphony/base/memory.h>

#include <malloc.h>

namespace polyphony {

void keep_freed_memory() {
  constexpr int kLargest = 32 << 20;  // glibc takes no more
  constexpr int kKept = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kLargest);
  mallopt(M_TRIM_THRESHOLD, kKept);
}

}  // namespace polyphony
