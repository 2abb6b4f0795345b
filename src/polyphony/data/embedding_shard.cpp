#include <polyphony/data/embedding_shard.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/fingerprint.h>

namespace polyphony::data {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kAlignment = 64;  // of the first tensor

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

}  // namespace

std::vector<ShardEntry> read_shard_entries(const fs::path& path) {
  tensor::SafetensorsHeader header = tensor::read_safetensors_header(FileReader(path));
  std::vector<ShardEntry> entries;
  for (auto& [key, place] : header.tensors) {
    const std::string& digits = header.metadata[key];
    ShardEntry entry{key, std::move(place), 0};
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, entry.checksum, 16);
    if (error != std::errc{} || stop != end) {
      throw DataError(fmt::format("{}: its header is damaged", path.string()),
                      "delete the file: what it held is computed again");
    }
    entries.push_back(std::move(entry));
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
  at::Tensor tensor = at::empty(entry.tensor.shape, entry.tensor.type);
  auto* bytes = static_cast<char*>(tensor.data_ptr());
  // Part by part, each hashed while the processor's cache has it.
  constexpr std::size_t kPart = std::size_t{128} << 10;
  Fingerprinter fingerprinter;
  for (std::size_t done = 0; done < entry.tensor.size; done += kPart) {
    const std::size_t count = std::min(kPart, entry.tensor.size - done);
    if (!read_at(fd_.get(), bytes + done, count, entry.tensor.begin + done)) return std::nullopt;
    if (check == Check::kChecksum) fingerprinter.add({bytes + done, count});
  }
  const bool intact =
      check == Check::kLength || fingerprinter.fingerprint().digest == entry.checksum;
  return intact ? std::optional(tensor) : std::nullopt;
}

std::string encode_shard(std::span<const tensor::NamedTensor> items) {
  std::map<std::string, std::string> checksums;
  std::string data;
  for (const auto& [key, tensor] : items) {
    const at::Tensor plain = tensor.contiguous();
    const std::string_view bytes(static_cast<const char*>(plain.data_ptr()), plain.nbytes());
    data.append(bytes);
    checksums[key] = fmt::format("{:016x}", fingerprint(bytes).digest);
  }
  return tensor::safetensors_header(items, checksums, kAlignment) + data;
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
