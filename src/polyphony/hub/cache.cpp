#include <polyphony/hub/cache.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/leftovers.h>

namespace polyphony::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "models--";

/// "org/name" as a folder: "models--org--name".
std::string folder_name(const std::string& name) {
  std::string text(kPrefix);
  for (const char c : name) text += c == '/' ? "--" : std::string(1, c);
  return text;
}

/// The name that a folder stands for; the first "--" is the slash.
std::string model_name(const std::string& folder) {
  std::string name = folder.substr(kPrefix.size());
  if (const std::size_t at = name.find("--"); at != std::string::npos) name.replace(at, 2, "/");
  return name;
}

std::string first_line(const fs::path& path) {
  std::string text = read_file(path);
  return text.substr(0, text.find_first_of(" \t\r\n"));
}

/// Calls visit(path) for every file below; nothing where the folder is not there.
template <typename Visit>
void each_file(const fs::path& folder, const Visit& visit) {
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (!entry->is_directory(error)) visit(entry->path());
  }
}

std::vector<CachedRevision> revisions_of(const fs::path& folder) {
  std::map<std::string, std::vector<std::string>> refs;
  each_file(folder / "refs", [&](const fs::path& path) {
    refs[first_line(path)].push_back(path.lexically_relative(folder / "refs").string());
  });
  std::vector<CachedRevision> revisions;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / "snapshots", error)) {
    CachedRevision revision;
    revision.commit = entry.path().filename();
    revision.refs = refs[revision.commit];
    revision.folder = entry.path();
    each_file(entry.path(), [&](const fs::path& path) {
      std::error_code broken;
      if (fs::exists(path, broken)) ++revision.files;
    });
    revisions.push_back(std::move(revision));
  }
  std::sort(revisions.begin(), revisions.end(),
            [](const auto& a, const auto& b) { return a.commit < b.commit; });
  return revisions;
}

}  // namespace

ModelCache::ModelCache(const fs::path& cache, const std::string& name)
    : folder_(cache / folder_name(name)), locks_(cache / ".locks" / folder_name(name)) {}

std::optional<std::string> ModelCache::commit_of(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  const fs::path path = folder_ / "refs" / revision;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  const std::string commit = first_line(path);
  return is_commit(commit) ? std::optional(commit) : std::nullopt;
}

void ModelCache::set_commit(const std::string& revision, const std::string& commit) const {
  if (!is_commit(revision)) write_file(folder_ / "refs" / revision, std::string_view(commit));
}

void ModelCache::link(const std::string& commit, const std::string& file,
                      const std::string& etag) const {
  const fs::path path = snapshot(commit) / file;
  make_directory(path.parent_path());
  const fs::path target = blob(etag).lexically_relative(path.parent_path());
  // A link beside it, then renamed: another process sees the old one or the new one.
  static std::atomic<unsigned> serial{0};
  remove_leftovers(path.parent_path());
  const fs::path fresh = temporary_beside(path, fmt::format("{:06}", serial++ % 1'000'000));
  std::error_code error;
  fs::remove(fresh, error);
  fs::create_symlink(target, fresh, error);
  if (!error) fs::rename(fresh, path, error);
  if (error) {
    throw IoError(path.string() + ": cannot make a symbolic link: " + error.message(),
                  "put the cache (HF_HOME) on a file system that has them");
  }
}

bool is_commit(const std::string& revision) {
  return revision.size() == 40 &&
         revision.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<std::string> cached_names(const fs::path& cache) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(cache, error)) {
    const std::string folder = entry.path().filename();
    if (folder.starts_with(kPrefix)) names.push_back(model_name(folder));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<CachedModel> cached_models(const fs::path& cache) {
  std::vector<CachedModel> models;
  for (const std::string& name : cached_names(cache)) {
    CachedModel model;
    model.name = name;
    const fs::path folder = cache / folder_name(name);
    each_file(folder / "blobs", [&](const fs::path& path) {
      std::error_code error;
      const std::uintmax_t size = fs::file_size(path, error);
      if (!error) model.bytes += size;
    });
    model.revisions = revisions_of(folder);
    models.push_back(std::move(model));
  }
  return models;
}

}  // namespace polyphony::hub
