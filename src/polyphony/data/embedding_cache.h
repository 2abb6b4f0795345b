#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/config/bind/fields.h>
#include <polyphony/data/embedding_shard.h>

namespace polyphony::data {

/// How embeddings are kept: as computed, or in half the space with 8 bits of precision.
enum class EmbeddingType { kFloat32, kBfloat16 };

struct EmbeddingCacheOptions {
  std::string directory;  ///< "": default_embedding_directory
  double limit_gb = 64;   ///< 10^9 bytes of shards; the least recently used are evicted
  double shard_mb = 64;   ///< embeddings are written in files of about this size
  EmbeddingType dtype = EmbeddingType::kFloat32;

  void describe(config::Fields& f);
};

/// $POLYPHONY_CACHE/embeddings, else $XDG_CACHE_HOME/polyphony/embeddings, else
/// ~/.cache/polyphony/embeddings.
std::filesystem::path default_embedding_directory();

/// Embeddings on disk, by the hash of all that they depend on. Any number of processes may read and
/// write at once. A writer that is killed at any instant loses what it had not flushed and nothing
/// else: shards are written whole or not at all.
///
/// Shards whose embeddings this object has found or written are in use until it is destroyed; no
/// process evicts them. Damaged shards are set aside (NAME.damaged): what is damaged in them is
/// absent, the rest is written anew. All functions may be called from several threads.
///
/// A directory that cannot be written to is read; what is put stays in memory, and is gone with
/// this object.
class EmbeddingCache {
 public:
  /// Clears away what killed writers left. @throws IoError where the directory cannot be made
  explicit EmbeddingCache(EmbeddingCacheOptions options);
  ~EmbeddingCache();
  EmbeddingCache(const EmbeddingCache&) = delete;
  EmbeddingCache& operator=(const EmbeddingCache&) = delete;

  /// Whether an embedding is there, written or waiting to be; claims its shard.
  bool has(const std::string& key);
  /// The embedding, float32 [positions, dims]. Its checksum is compared on the first reading.
  /// @return nothing where it is absent or damaged
  std::optional<at::Tensor> find(const std::string& key);
  /// Takes an embedding, [positions, dims] of floats; a full buffer is flushed.
  /// @throws DataError where it is not finite, or the cache is full of shards in use
  void put(const std::string& key, const at::Tensor& embedding);
  /// Writes what waits in memory.
  void flush();
  /// Looks for shards of other writers.
  void refresh();
  /// Compares every checksum. @return shards set aside
  std::size_t verify();

  const std::filesystem::path& directory() const { return directory_; }
  EmbeddingType dtype() const { return options_.dtype; }
  bool read_only() const { return read_only_; }
  /// What is to be told: shards that were damaged, and a directory that cannot be written to; a
  /// line each.
  std::vector<std::string> complaints() const;
  /// Those of them that nobody has taken yet.
  std::vector<std::string> take_complaints();
  /// Bytes of all shards in the directory.
  std::uintmax_t size_on_disk() const;

 private:
  struct Place {
    std::string shard;  ///< file name
    ShardEntry entry;
    bool checked = false;
  };

  Place* claim(const std::string& key, std::shared_ptr<EmbeddingShard>& shard);
  void index_shards();
  void add_shard(const std::filesystem::path& path);
  void set_aside(const std::string& shard, const std::string& why);
  bool rescue(const std::string& name, const EmbeddingShard& shard);
  void keep(const std::string& key, at::Tensor embedding);
  void forget(const std::string& shard);
  void flush_locked();
  void make_room(std::uintmax_t bytes);

  EmbeddingCacheOptions options_;
  std::filesystem::path directory_;
  bool read_only_ = false;
  bool told_read_only_ = false;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Place> places_;
  std::map<std::string, bool> known_;  ///< shards by file name that were indexed
  std::map<std::string, std::shared_ptr<EmbeddingShard>> open_;
  std::vector<std::pair<std::string, at::Tensor>> waiting_;
  std::unordered_map<std::string, std::size_t> waiting_at_;
  std::size_t waiting_bytes_ = 0;
  std::vector<std::string> complaints_;
  std::size_t complaints_taken_ = 0;
};

}  // namespace polyphony::data

template <>
struct polyphony::config::EnumNames<polyphony::data::EmbeddingType> {
  static constexpr std::pair<const char*, polyphony::data::EmbeddingType> kTable[] = {
      {"float32", polyphony::data::EmbeddingType::kFloat32},
      {"bfloat16", polyphony::data::EmbeddingType::kBfloat16},
      {"bf16", polyphony::data::EmbeddingType::kBfloat16}};
};
