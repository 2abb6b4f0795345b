#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <polyphony/base/descriptor.h>
#include <polyphony/tensor/safetensors.h>

namespace polyphony::data {

/// Where one embedding lies in a shard: [positions, dims] of float32 or bfloat16.
struct ShardEntry {
  std::string key;
  tensor::SafetensorsEntry tensor;
  std::uint64_t checksum = 0;  ///< XXH64
};

/// What the header of a shard says, checked against the file's size; no tensor is read.
/// @throws IoError where it cannot be read; DataError where it is truncated or no shard
std::vector<ShardEntry> read_shard_entries(const std::filesystem::path& path);

/// An open file of embeddings, which nobody evicts while it lives: it holds a shared flock.
class EmbeddingShard {
 public:
  /// Opens the file and notes the time of this use. @return null where another process evicted it
  static std::shared_ptr<EmbeddingShard> open(const std::filesystem::path& path);
  ~EmbeddingShard();
  EmbeddingShard(const EmbeddingShard&) = delete;
  EmbeddingShard& operator=(const EmbeddingShard&) = delete;

  /// An embedding as it is kept, [positions, dims]. It is read, not mapped: a file that somebody
  /// cuts short meanwhile is no crash.
  /// @return nullopt where not all of it is there, or (kChecksum) its bytes are not those written
  enum class Check { kLength, kChecksum };
  std::optional<at::Tensor> read(const ShardEntry& entry, Check check) const;

 private:
  explicit EmbeddingShard(int fd) : fd_(fd) {}

  Descriptor fd_;
};

/// A shard as bytes: a .safetensors file whose `__metadata__` holds a checksum a tensor.
std::string encode_shard(std::span<const tensor::NamedTensor> items);

/// Removes a shard that no process has open. @return its bytes; 0 where it is in use or gone
std::uintmax_t evict_shard(const std::filesystem::path& path);

}  // namespace polyphony::data
