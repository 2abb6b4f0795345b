#pragma once

#include <filesystem>
#include <string>

namespace polyphony {

/// A name beside a file for what is to become it: PATH.tmp-HOST-PROCESS-XXXXXX, as mkostemp takes
/// it. HOST is a hash of the host's name.
/// @param ending  six characters of one's own in the place of the X
std::string temporary_beside(const std::filesystem::path& path,
                             const std::string& ending = "XXXXXX");

/// Down to where: not into the whole tree, which may hold somebody's data.
enum class Depth { kThisDirectory, kTwoBelow };

/// Removes what killed writers left: temporary files whose writer, a process of this host, has
/// ended, and those of other hosts that nobody has written to for an hour. A writer holds a lock on
/// its file (lock_temporary), by which it is known to be alive from other hosts too.
/// @return how many those were; what cannot be removed stays
std::size_t remove_leftovers(const std::filesystem::path& directory,
                             Depth depth = Depth::kThisDirectory);

/// Says that the temporary file's writer is alive, as long as the descriptor is open.
void lock_temporary(int descriptor);

}  // namespace polyphony
