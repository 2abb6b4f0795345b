#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <polyphony/base/error.h>
#include <polyphony/hub/http.h>
#include <polyphony/hub/settings.h>

namespace polyphony::hub {

/// What was asked for, and of whom.
struct Place {
  std::string name;
  std::string revision;
  Settings settings;
  std::filesystem::path cache;
};

/// Why the hub did not answer with what was asked for, and what to do: no token or not the right
/// one, no such model (with the nearest in the cache), revision or file.
/// @param file  empty: the model itself was asked for
DataError refusal(const Response& answer, const Place& place, const std::string& file = {});

/// Offline, and these files are not in the cache.
DataError not_in_cache(const Place& place, const std::vector<std::string>& lacking);

/// The hub has the model, but not in a form that can be read.
DataError unusable(const Place& place, const std::vector<std::string>& lacking,
                   const std::vector<std::string>& files);

}  // namespace polyphony::hub
