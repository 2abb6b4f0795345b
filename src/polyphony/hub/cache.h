#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace polyphony::hub {

/// One model's folder in huggingface_hub's cache:
///   models--ORG--NAME/blobs/ETAG                 what was downloaded, once for all revisions
///   models--ORG--NAME/refs/REVISION              a branch's or tag's commit
///   models--ORG--NAME/snapshots/COMMIT/FILE      relative links to blobs
///   .locks/models--ORG--NAME/ETAG.lock           held (flock) while a blob is written
class ModelCache {
 public:
  /// @param cache  e.g. ~/.cache/huggingface/hub
  /// @param name   "org/name" or "name"
  ModelCache(const std::filesystem::path& cache, const std::string& name);

  std::filesystem::path blobs() const { return folder_ / "blobs"; }
  std::filesystem::path blob(const std::string& etag) const { return blobs() / etag; }
  std::filesystem::path lock(const std::string& etag) const { return locks_ / (etag + ".lock"); }
  std::filesystem::path snapshot(const std::string& commit) const {
    return folder_ / "snapshots" / commit;
  }

  /// The commit that a branch, tag or commit meant when it was last fetched.
  std::optional<std::string> commit_of(const std::string& revision) const;
  void set_commit(const std::string& revision, const std::string& commit) const;

  /// Makes snapshots/COMMIT/FILE a relative link to the blob.
  /// @throws IoError where the file system has no symbolic links
  void link(const std::string& commit, const std::string& file, const std::string& etag) const;

 private:
  std::filesystem::path folder_;
  std::filesystem::path locks_;
};

/// Is it 40 hexadecimal digits, a commit?
bool is_commit(const std::string& revision);

struct CachedRevision {
  std::string commit;
  std::vector<std::string> refs;  ///< e.g. "main"
  std::filesystem::path folder;
  std::size_t files = 0;  ///< that are whole
};

struct CachedModel {
  std::string name;
  std::uintmax_t bytes = 0;  ///< of all blobs, unfinished ones included
  std::vector<CachedRevision> revisions;
};

/// The models of a cache by name; empty where there is no cache.
std::vector<CachedModel> cached_models(const std::filesystem::path& cache);
/// Their names alone: reads one directory.
std::vector<std::string> cached_names(const std::filesystem::path& cache);

}  // namespace polyphony::hub
