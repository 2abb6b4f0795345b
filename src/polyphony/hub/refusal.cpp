#include <polyphony/hub/refusal.h>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/nearest.h>
#include <polyphony/hub/cache.h>

namespace polyphony::hub {
namespace {

constexpr std::size_t kFilesShown = 12;

std::string how_to_get_a_token(const Settings& settings) {
  return fmt::format("make a token at {}/settings/tokens and set HF_TOKEN, or write it to {}",
                     settings.endpoint, settings.token_file.string());
}

std::string nearest_cached(const Place& place) {
  const auto names = cached_names(place.cache);
  std::string near = base::nearest(place.name, names);
  if (near == place.name) return "";
  if (near.empty()) {  // the right name without its organisation, or with another
    const std::string wanted = place.name.substr(place.name.find('/') + 1);
    const auto same = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
      return name.substr(name.find('/') + 1) == wanted;
    });
    if (same != names.end()) near = *same;
  }
  return near.empty() ? "" : fmt::format("; the cache has {}", near);
}

DataError no_model(const Place& place) {
  const Settings& settings = place.settings;
  return {fmt::format("{}: no such model on {}{}", place.name, settings.endpoint,
                      nearest_cached(place)),
          settings.token.empty()
              ? "check the name; if it is private, " + how_to_get_a_token(settings)
              : "check the name, and that the token's owner may see it"};
}

DataError no_access(const Place& place, bool gated) {
  const Settings& settings = place.settings;
  const std::string page = fmt::format("{}/{}", settings.endpoint, place.name);
  if (settings.token.empty()) {
    return {
        fmt::format("{}: the hub wants a token for it ({})", place.name,
                    gated ? "it is gated" : "it is gated, private or not there"),
        fmt::format("sign in, ask for access at {}, then {}", page, how_to_get_a_token(settings))};
  }
  return {fmt::format("{}: the token that was sent has no access to it", place.name),
          fmt::format("ask for access at {} with the account of the token, or {}", page,
                      how_to_get_a_token(settings))};
}

}  // namespace

DataError refusal(const Response& answer, const Place& place, const std::string& file) {
  const std::string code = answer.header("x-error-code").value_or("");
  if (code == "RevisionNotFound") {
    return {fmt::format("{}: no revision '{}' on {}", place.name, place.revision,
                        place.settings.endpoint),
            fmt::format("its branches and commits: {}/{}/commits/main", place.settings.endpoint,
                        place.name)};
  }
  if (code == "GatedRepo") return no_access(place, true);
  if (code == "RepoNotFound") return no_model(place);
  if (answer.status == 401 || answer.status == 403) return no_access(place, answer.status == 403);
  if (answer.status == 404 && file.empty()) return no_model(place);
  const std::string what = file.empty() ? place.name : place.name + "/" + file;
  return {fmt::format("{}: {} answers {}", what, place.settings.endpoint, answer.status),
          "check the name, the revision and HF_ENDPOINT"};
}

DataError not_in_cache(const Place& place, const std::vector<std::string>& lacking) {
  const std::string revision =
      place.revision == "main" ? "" : fmt::format(" --revision {}", place.revision);
  return {fmt::format("{}: offline (HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE) and not in the cache {}: "
                      "{} missing{}",
                      place.name, place.cache.string(), fmt::join(lacking, "; "),
                      nearest_cached(place)),
          fmt::format("with a network: HF_HUB_OFFLINE=0 polyphony hub fetch {}{}; or copy the "
                      "folder models--… of a cache that has it",
                      place.name, revision)};
}

DataError unusable(const Place& place, const std::vector<std::string>& lacking,
                   const std::vector<std::string>& files) {
  const std::vector<std::string> shown(
      files.begin(),
      files.begin() + static_cast<std::ptrdiff_t>(std::min(files.size(), kFilesShown)));
  return {fmt::format("{}: revision {} has no {}", place.name, place.revision,
                      fmt::join(lacking, ", no ")),
          fmt::format("it has: {}{}. A model in PyTorch's form is needed (TensorFlow's and Flax's "
                      "are not read)",
                      fmt::join(shown, ", "), files.size() > kFilesShown ? ", …" : "")};
}

}  // namespace polyphony::hub
