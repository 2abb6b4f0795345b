#include <polyphony/data/embedding_cache.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <polyphony/base/descriptor.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/fingerprint.h>

namespace polyphony::data {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSuffix = ".safetensors";
constexpr double kMegabyte = 1e6;
constexpr double kGigabyte = 1e9;

/// While it lives, no other process writes or evicts here.
class DirectoryLock {
 public:
  enum class Wait { kYes, kNo };

  explicit DirectoryLock(const fs::path& directory, Wait wait = Wait::kYes)
      : fd_(::open((directory / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    const int how = wait == Wait::kYes ? LOCK_EX : LOCK_EX | LOCK_NB;
    int result = -1;
    while (fd_.get() >= 0 && (result = ::flock(fd_.get(), how)) != 0 && errno == EINTR) {
    }
    held_ = result == 0;
    if (held_ || wait == Wait::kNo) return;
    throw IoError(
        fmt::format("{}: cannot lock the cache: {}", directory.string(), std::strerror(errno)),
        "choose another embeddings.directory, on a local disk");
  }
  /// False where another process holds it and was not to be waited for.
  bool held() const { return held_; }

 private:
  Descriptor fd_;
  bool held_ = false;
};

struct Listed {
  fs::path path;
  std::uintmax_t bytes = 0;
  fs::file_time_type used;
};

/// The shards that are there; those that vanish meanwhile are left out.
std::vector<Listed> list_shards(const fs::path& directory) {
  std::vector<Listed> shards;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(directory, error)) {
    if (file.path().extension() != kSuffix) continue;
    std::error_code gone;
    const std::uintmax_t bytes = file.file_size(gone);
    const fs::file_time_type used = file.last_write_time(gone);
    if (!gone) shards.push_back({file.path(), bytes, used});
  }
  std::sort(shards.begin(), shards.end(),
            [](const Listed& a, const Listed& b) { return a.path < b.path; });
  return shards;
}

/// What killed writers left: only the holder of the lock writes.
void remove_unfinished(const fs::path& directory) {
  std::error_code error;
  for (const auto& file : fs::directory_iterator(directory, error)) {
    if (file.path().filename().string().find(".tmp-") == std::string::npos) continue;
    std::error_code ignored;
    fs::remove(file.path(), ignored);
  }
}

/// Whether the directory is there, and nobody may write into it: of another user, or on a disk that
/// is mounted read-only.
bool cannot_be_written(const fs::path& directory) {
  std::error_code error;
  return fs::is_directory(directory, error) &&
         ::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) != 0;
}

}  // namespace

void EmbeddingCacheOptions::describe(config::Fields& f) {
  f("directory", directory, "where embeddings are kept; '': ~/.cache/polyphony/embeddings");
  f("limit_gb", limit_gb, "most that all shards take, in 10^9 bytes; the least recently used go");
  f.check("limit_gb", limit_gb > 0, "more than 0");
  f("shard_mb", shard_mb, "size of a file, in 10^6 bytes: what a killed writer loses at most");
  f.check("shard_mb", shard_mb > 0 && shard_mb <= 4096, "in (0, 4096]");
  f("dtype", dtype, "how embeddings are kept");
}

fs::path default_embedding_directory() {
  const auto set = [](const char* name) -> const char* {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : nullptr;
  };
  if (const char* cache = set("POLYPHONY_CACHE")) return fs::path(cache) / "embeddings";
  if (const char* cache = set("XDG_CACHE_HOME")) {
    return fs::path(cache) / "polyphony" / "embeddings";
  }
  const char* home = set("HOME");
  return fs::path(home != nullptr ? home : "/tmp") / ".cache" / "polyphony" / "embeddings";
}

EmbeddingCache::EmbeddingCache(EmbeddingCacheOptions options)
    : options_(std::move(options)),
      directory_(options_.directory.empty() ? default_embedding_directory()
                                            : fs::path(options_.directory)) {
  read_only_ = cannot_be_written(directory_);
  if (!read_only_) {
    make_directory(directory_);
    const DirectoryLock lock(directory_, DirectoryLock::Wait::kNo);
    if (lock.held()) remove_unfinished(directory_);
  }
  index_shards();
}

EmbeddingCache::~EmbeddingCache() {
  try {
    flush();
  } catch (const std::exception&) {  // whoever cares flushes, and sees the error
  }
}

void EmbeddingCache::index_shards() {
  for (const Listed& shard : list_shards(directory_)) {
    if (!known_.contains(shard.path.filename().string())) add_shard(shard.path);
  }
}

void EmbeddingCache::add_shard(const fs::path& path) {
  const std::string name = path.filename().string();
  try {
    for (ShardEntry& entry : read_shard_entries(path)) {
      std::string key = entry.key;
      places_.insert_or_assign(std::move(key), Place{name, std::move(entry)});
    }
    known_[name] = true;
  } catch (const DataError& error) {
    set_aside(name, error.what());
  } catch (const IoError&) {  // evicted between listing and reading
  }
}

void EmbeddingCache::set_aside(const std::string& shard, const std::string& why) {
  forget(shard);
  std::error_code error;
  fs::rename(directory_ / shard, directory_ / (shard + ".damaged"), error);
  const std::string where = error ? "" : fmt::format(" set aside as {}.damaged;", shard);
  complaints_.push_back(
      fmt::format("{};{} what is lost is computed again", why.substr(0, why.find('\n')), where));
}

/// Where an embedding of the shard is damaged, the others wait to be written anew and it is set
/// aside. @return whether one is
bool EmbeddingCache::rescue(const std::string& name, const EmbeddingShard& shard) {
  std::vector<std::pair<std::string, at::Tensor>> whole;
  std::size_t all = 0;
  for (const auto& [key, place] : places_) {
    if (place.shard != name) continue;
    ++all;
    auto embedding = shard.read(place.entry, EmbeddingShard::Check::kChecksum);
    if (embedding) whole.emplace_back(key, std::move(*embedding));
  }
  if (whole.size() == all) return false;
  set_aside(name, fmt::format("{}: {} of {} embeddings are damaged (checksum or length)",
                              (directory_ / name).string(), all - whole.size(), all));
  for (auto& [key, embedding] : whole) keep(key, std::move(embedding));
  return true;
}

void EmbeddingCache::forget(const std::string& shard) {
  std::erase_if(places_, [&](const auto& item) { return item.second.shard == shard; });
  known_.erase(shard);
  open_.erase(shard);
}

EmbeddingCache::Place* EmbeddingCache::claim(const std::string& key,
                                             std::shared_ptr<EmbeddingShard>& shard) {
  const auto found = places_.find(key);
  if (found == places_.end()) return nullptr;
  std::shared_ptr<EmbeddingShard>& open = open_[found->second.shard];
  if (!open) open = EmbeddingShard::open(directory_ / found->second.shard);
  if (!open) {
    forget(std::string(found->second.shard));
    return nullptr;
  }
  shard = open;
  return &found->second;
}

bool EmbeddingCache::has(const std::string& key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<EmbeddingShard> shard;
  return waiting_at_.contains(key) || claim(key, shard) != nullptr;
}

std::optional<at::Tensor> EmbeddingCache::find(const std::string& key) {
  std::shared_ptr<EmbeddingShard> shard;
  ShardEntry entry;
  bool checked = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (const auto waits = waiting_at_.find(key); waits != waiting_at_.end()) {
      return waiting_[waits->second].second.to(at::kFloat);
    }
    const Place* place = claim(key, shard);
    if (place == nullptr) return std::nullopt;
    entry = place->entry;
    checked = place->checked;
  }
  using Check = EmbeddingShard::Check;
  const auto embedding = shard->read(entry, checked ? Check::kLength : Check::kChecksum);
  if (embedding && checked) return embedding->to(at::kFloat);
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto place = places_.find(key);
  if (embedding) {
    if (place != places_.end()) place->second.checked = true;
    return embedding->to(at::kFloat);
  }
  if (place != places_.end()) rescue(std::string(place->second.shard), *shard);
  return std::nullopt;
}

void EmbeddingCache::put(const std::string& key, const at::Tensor& embedding) {
  if (!at::isfinite(embedding).all().item<bool>()) {
    throw DataError("an embedding has values that are not finite",
                    "look at the recording or text it is of, and at the encoder's weights");
  }
  const at::ScalarType type =
      options_.dtype == EmbeddingType::kFloat32 ? at::kFloat : at::kBFloat16;
  at::Tensor kept = embedding.detach().to(at::kCPU, type).contiguous().clone();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (read_only_ && !std::exchange(told_read_only_, true)) {
    complaints_.push_back(fmt::format(
        "{}: cannot be written to: what is missing there is computed for this run alone",
        directory_.string()));
  }
  keep(key, std::move(kept));
  if (static_cast<double>(waiting_bytes_) >= options_.shard_mb * kMegabyte) flush_locked();
}

/// To be written with the next shard.
void EmbeddingCache::keep(const std::string& key, at::Tensor embedding) {
  if (waiting_at_.contains(key)) return;
  waiting_at_[key] = waiting_.size();
  waiting_bytes_ += embedding.nbytes();
  waiting_.emplace_back(key, std::move(embedding));
}

void EmbeddingCache::flush() {
  const std::lock_guard<std::mutex> lock(mutex_);
  flush_locked();
}

void EmbeddingCache::flush_locked() {
  if (waiting_.empty() || read_only_) return;
  const std::string bytes = encode_shard(waiting_);
  const fs::path path = directory_ / fmt::format("{:016x}{}", fingerprint(bytes).digest, kSuffix);
  {
    const DirectoryLock lock(directory_);
    remove_unfinished(directory_);
    make_room(bytes.size());
    write_file(path, bytes);
    // Claimed before anyone else may evict it.
    open_[path.filename().string()] = EmbeddingShard::open(path);
  }
  add_shard(path);
  waiting_.clear();
  waiting_at_.clear();
  waiting_bytes_ = 0;
}

void EmbeddingCache::make_room(std::uintmax_t bytes) {
  std::vector<Listed> shards = list_shards(directory_);
  std::uintmax_t total = bytes;
  for (const Listed& shard : shards) total += shard.bytes;
  const auto limit = static_cast<std::uintmax_t>(options_.limit_gb * kGigabyte);
  std::sort(shards.begin(), shards.end(),
            [](const Listed& a, const Listed& b) { return a.used < b.used; });
  for (const Listed& shard : shards) {
    if (total <= limit) return;
    const std::uintmax_t freed = evict_shard(shard.path);
    if (freed > 0) forget(shard.path.filename().string());
    total -= freed;
  }
  if (total <= limit) return;
  throw DataError(
      fmt::format("{}: the embedding cache is full: {:.3f} of {:.3f} GB, all in use",
                  directory_.string(), static_cast<double>(total) / kGigabyte, options_.limit_gb),
      "raise embeddings.limit_gb, or keep embeddings in half the space: embeddings.dtype=bfloat16");
}

void EmbeddingCache::refresh() {
  const std::lock_guard<std::mutex> lock(mutex_);
  index_shards();
}

std::size_t EmbeddingCache::verify() {
  const std::lock_guard<std::mutex> lock(mutex_);
  index_shards();
  std::size_t damaged = 0;
  std::vector<std::string> names;
  for (const auto& [name, known] : known_) names.push_back(name);
  for (const std::string& name : names) {
    const auto shard = EmbeddingShard::open(directory_ / name);
    if (!shard) {
      forget(name);
      continue;
    }
    damaged += rescue(name, *shard);
  }
  flush_locked();
  return damaged;
}

std::vector<std::string> EmbeddingCache::complaints() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return complaints_;
}

std::vector<std::string> EmbeddingCache::take_complaints() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto first = complaints_.begin() + static_cast<std::ptrdiff_t>(complaints_taken_);
  complaints_taken_ = complaints_.size();
  return {first, complaints_.end()};
}

std::uintmax_t EmbeddingCache::size_on_disk() const {
  std::uintmax_t total = 0;
  for (const Listed& shard : list_shards(directory_)) total += shard.bytes;
  return total;
}

}  // namespace polyphony::data
