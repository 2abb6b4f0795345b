#include <polyphony/data/embedding_shard.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/json.h>

namespace polyphony::data {
namespace fs = std::filesystem;
using Json = nlohmann::json;
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kAlignment = 64;  // of the first tensor
constexpr std::size_t kMostHeader = std::size_t{1} << 30;

[[noreturn]] void damaged(const fs::path& path, const std::string& what) {
  throw DataError(fmt::format("{}: {}", path.string(), what),
                  "delete the file: what it held is computed again");
}

std::uint64_t word_at(const std::byte* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87ULL;
constexpr std::uint64_t kPrime2 = 0xC2B2AE3D27D4EB4FULL;
constexpr std::uint64_t kPrime3 = 0x165667B19E3779F9ULL;
constexpr std::uint64_t kPrime4 = 0x85EBCA77C2B2AE63ULL;
constexpr std::uint64_t kPrime5 = 0x27D4EB2F165667C5ULL;

std::uint64_t mix(std::uint64_t lane, std::uint64_t word) {
  return std::rotl(lane + word * kPrime2, 31) * kPrime1;
}

/// XXH64 of bytes that come in parts.
class Xxh64 {
 public:
  static constexpr std::size_t kStripe = 32;

  /// @param stripes  of kStripe bytes each, whole ones
  void update(std::span<const std::byte> stripes) {
    total_ += stripes.size();
    const std::byte* at = stripes.data();
    for (std::size_t left = stripes.size(); left > 0; left -= kStripe, at += kStripe) {
      for (std::size_t i = 0; i < 4; ++i) lanes_[i] = mix(lanes_[i], word_at(at + 8 * i));
    }
  }

  /// The hash of all that came, with the last bytes.
  std::uint64_t finish(std::span<const std::byte> last) {
    const std::size_t whole = last.size() / kStripe * kStripe;
    update(last.first(whole));
    std::uint64_t hash = kPrime5;
    if (total_ > 0) {
      hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
             std::rotl(lanes_[3], 18);
      for (const std::uint64_t lane : lanes_) hash = (hash ^ mix(0, lane)) * kPrime1 + kPrime4;
    }
    return tail(hash + total_ + (last.size() - whole), last.subspan(whole));
  }

 private:
  static std::uint64_t tail(std::uint64_t hash, std::span<const std::byte> bytes) {
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; left -= 8, at += 8) {
      hash = std::rotl(hash ^ mix(0, word_at(at)), 27) * kPrime1 + kPrime4;
    }
    if (left >= 4) {
      std::uint32_t half = 0;
      std::memcpy(&half, at, sizeof half);
      hash = std::rotl(hash ^ (half * kPrime1), 23) * kPrime2 + kPrime3;
      left -= 4;
      at += 4;
    }
    for (; left > 0; --left, ++at) {
      hash = std::rotl(hash ^ (static_cast<std::uint64_t>(*at) * kPrime5), 11) * kPrime1;
    }
    hash = (hash ^ (hash >> 33)) * kPrime2;
    hash = (hash ^ (hash >> 29)) * kPrime3;
    return hash ^ (hash >> 32);
  }

  std::array<std::uint64_t, 4> lanes_ = {kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};
  std::uint64_t total_ = 0;
};

/// Reads `count` bytes from place `at`. @return false where they are not all there
bool read_at(int fd, void* into, std::size_t count, std::size_t at) {
  auto* to = static_cast<char*>(into);
  while (count > 0) {
    const ssize_t n = ::pread(fd, to, count, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    to += n;
    at += static_cast<std::size_t>(n);
    count -= static_cast<std::size_t>(n);
  }
  return true;
}

/// The header's text. @throws DataError where the file is shorter than it says
std::string read_header(int fd, const fs::path& path, std::size_t size) {
  std::uint64_t length = 0;
  if (size < kLengthBytes || !read_at(fd, &length, kLengthBytes, 0)) {
    damaged(path, "truncated: no header");
  }
  if (length > kMostHeader || length > size - kLengthBytes) damaged(path, "truncated header");
  std::string text(length, '\0');
  if (!read_at(fd, text.data(), length, kLengthBytes)) damaged(path, "its header cannot be read");
  return text;
}

ShardEntry entry_of(const fs::path& path, const std::string& key, const Json& item,
                    const Json& checksums) {
  ShardEntry entry;
  entry.key = key;
  const auto type = item.at("dtype").get<std::string>();
  if (type != "F32" && type != "BF16") damaged(path, "a tensor of type " + type);
  entry.type = type == "F32" ? at::kFloat : at::kBFloat16;
  entry.shape = item.at("shape").get<std::vector<std::int64_t>>();
  const auto offsets = item.at("data_offsets").get<std::vector<std::size_t>>();
  if (offsets.size() != 2 || offsets[0] > offsets[1]) damaged(path, "offsets that are none");
  entry.offset = offsets[0];
  entry.bytes = offsets[1] - offsets[0];
  std::size_t wanted = type == "F32" ? 4 : 2;
  for (const std::int64_t length : entry.shape) {
    if (length < 0 || length > std::int64_t{1} << 32) damaged(path, "a shape that is none");
    wanted *= static_cast<std::size_t>(length);
  }
  if (wanted != entry.bytes) damaged(path, "a shape that does not fit its data");
  entry.checksum = std::stoull(checksums.at(key).get<std::string>(), nullptr, 16);
  return entry;
}

}  // namespace

std::uint64_t xxh64(std::span<const std::byte> bytes) {
  Xxh64 hash;
  return hash.finish(bytes);
}

std::vector<ShardEntry> read_shard_entries(const fs::path& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) {
    throw IoError(fmt::format("{}: cannot open: {}", path.string(), std::strerror(errno)),
                  "check its permissions");
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  const std::string text = read_header(fd.get(), path, size);
  const std::size_t data_at = kLengthBytes + text.size();
  std::vector<ShardEntry> entries;
  std::size_t end = 0;
  try {
    const Json header = parse_json(text);
    const Json& checksums = header.at("__metadata__");
    for (const auto& [key, item] : header.items()) {
      if (key == "__metadata__") continue;
      ShardEntry entry = entry_of(path, key, item, checksums);
      end = std::max(end, entry.offset + entry.bytes);
      if (end > size - data_at) damaged(path, "truncated: its last embeddings are cut off");
      entry.offset += data_at;
      entries.push_back(std::move(entry));
    }
  } catch (const Json::exception&) {
    damaged(path, "its header is damaged");
  } catch (const std::logic_error&) {  // std::stoull
    damaged(path, "its header is damaged");
  }
  return entries;
}

std::shared_ptr<EmbeddingShard> EmbeddingShard::open(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  const std::shared_ptr<EmbeddingShard> shard(new EmbeddingShard(fd));
  // Whoever evicts holds the exclusive lock; a file without a name is evicted already.
  int locked = -1;
  while ((locked = ::flock(fd, LOCK_SH)) != 0 && errno == EINTR) {
  }
  struct stat status {};
  if (locked != 0 || ::fstat(fd, &status) != 0 || status.st_nlink == 0) return nullptr;
  ::futimens(fd, nullptr);  // the use that eviction goes by; a read-only cache keeps its own
  return shard;
}

EmbeddingShard::~EmbeddingShard() = default;

std::optional<at::Tensor> EmbeddingShard::read(const ShardEntry& entry, Check check) const {
  at::Tensor tensor = at::empty(entry.shape, entry.type);
  auto* bytes = static_cast<std::byte*>(tensor.data_ptr());
  if (check == Check::kLength) {
    if (!read_at(fd_.get(), bytes, entry.bytes, entry.offset)) return std::nullopt;
    return tensor;
  }
  // Part by part, each hashed while the processor's cache has it.
  constexpr std::size_t kPart = std::size_t{128} << 10;
  static_assert(kPart % Xxh64::kStripe == 0);
  Xxh64 hash;
  std::size_t done = 0;
  while (true) {
    const std::size_t count = std::min(kPart, entry.bytes - done);
    if (!read_at(fd_.get(), bytes + done, count, entry.offset + done)) return std::nullopt;
    if (done + count == entry.bytes) break;
    hash.update({bytes + done, count});
    done += count;
  }
  const bool intact = hash.finish({bytes + done, entry.bytes - done}) == entry.checksum;
  return intact ? std::optional(tensor) : std::nullopt;
}

std::string encode_shard(std::span<const std::pair<std::string, at::Tensor>> items) {
  Json header = Json::object();
  Json checksums = Json::object();
  std::string data;
  for (const auto& [key, tensor] : items) {
    const at::Tensor plain = tensor.contiguous();
    const auto* bytes = static_cast<const std::byte*>(plain.data_ptr());
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(bytes), plain.nbytes());
    header[key] = {{"dtype", plain.scalar_type() == at::kFloat ? "F32" : "BF16"},
                   {"shape", plain.sizes().vec()},
                   {"data_offsets", {begin, data.size()}}};
    checksums[key] = fmt::format("{:016x}", xxh64({bytes, plain.nbytes()}));
  }
  header["__metadata__"] = std::move(checksums);
  std::string text = header.dump();
  text.append((kAlignment - (kLengthBytes + text.size()) % kAlignment) % kAlignment, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(reinterpret_cast<const char*>(&length), kLengthBytes);
  bytes.reserve(kLengthBytes + text.size() + data.size());
  return bytes.append(text).append(data);
}

std::uintmax_t evict_shard(const fs::path& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (fd.get() < 0 || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 ||
      ::fstat(fd.get(), &status) != 0 || ::unlink(path.c_str()) != 0) {
    return 0;
  }
  return static_cast<std::uintmax_t>(status.st_size);
}

}  // namespace polyphony::data
