#pragma once

namespace polyphony {

/// From now on standard output and error take whatever is printed, also where nobody gets it: the
/// terminal was closed, a reader has gone (`| head`), the disk is full, they were closed from the
/// start (`>&-`). A run that can no longer
/// speak still saves. Call it before anything is printed. SIGPIPE no longer ends the process; those
/// that it starts have it as before.
void outlive_output();

}  // namespace polyphony
