#pragma once

namespace polyphony {

/// Tells the allocator to keep what the program frees, up to blocks of 32 MB, instead of giving
/// pages back to the system and taking them again: the page faults of one recording's buffers cost
/// more than decoding it. Call once, at the start.
void keep_freed_memory();

}  // namespace polyphony
