#include <polyphony/base/fingerprint.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include <polyphony/base/file_reader.h>

namespace polyphony {
namespace {

constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87U;
constexpr std::uint64_t kPrime2 = 0xC2B2AE3D27D4EB4FU;
constexpr std::uint64_t kPrime3 = 0x165667B19E3779F9U;
constexpr std::uint64_t kPrime4 = 0x85EBCA77C2B2AE63U;
constexpr std::uint64_t kPrime5 = 0x27D4EB2F165667C5U;

template <class Word>
Word word_at(const char* bytes) {
  Word word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

std::uint64_t mixed(std::uint64_t lane, std::uint64_t input) {
  return std::rotl(lane + input * kPrime2, 31) * kPrime1;
}

/// XXH64 with seed 0 (xxhash.com, doc/xxhash_spec.md). Every piece but the last is a multiple of
/// 32 bytes.
class Xxh64 {
 public:
  void update(std::string_view bytes) {
    size_ += bytes.size();
    while (bytes.size() >= kStripe) {
      for (std::size_t i = 0; i < lanes_.size(); ++i) {
        lanes_[i] = mixed(lanes_[i], word_at<std::uint64_t>(bytes.data() + 8 * i));
      }
      bytes.remove_prefix(kStripe);
    }
    rest_.assign(bytes.begin(), bytes.end());
  }

  std::uint64_t digest() const {
    std::uint64_t hash = kPrime5;
    if (size_ >= kStripe) {
      hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
             std::rotl(lanes_[3], 18);
      for (const std::uint64_t lane : lanes_) hash = (hash ^ mixed(0, lane)) * kPrime1 + kPrime4;
    }
    hash += size_;
    std::size_t at = 0;
    for (; rest_.size() - at >= 8; at += 8) {
      hash = std::rotl(hash ^ mixed(0, word_at<std::uint64_t>(rest_.data() + at)), 27) * kPrime1 +
             kPrime4;
    }
    if (rest_.size() - at >= 4) {
      hash = std::rotl(hash ^ word_at<std::uint32_t>(rest_.data() + at) * kPrime1, 23) * kPrime2 +
             kPrime3;
      at += 4;
    }
    for (; at < rest_.size(); ++at) {
      hash = std::rotl(hash ^ static_cast<unsigned char>(rest_[at]) * kPrime5, 11) * kPrime1;
    }
    hash = (hash ^ hash >> 33) * kPrime2;
    hash = (hash ^ hash >> 29) * kPrime3;
    return hash ^ hash >> 32;
  }

  std::uint64_t size() const { return size_; }

 private:
  static constexpr std::size_t kStripe = 32;
  std::array<std::uint64_t, 4> lanes_ = {kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};
  std::vector<char> rest_;
  std::uint64_t size_ = 0;
};

}  // namespace

Fingerprint fingerprint(std::string_view bytes) {
  Xxh64 hash;
  hash.update(bytes);
  return {hash.size(), hash.digest()};
}

Fingerprint file_fingerprint(const std::filesystem::path& path) {
  const FileReader file(path);
  Xxh64 hash;
  std::vector<char> block(1 << 20);
  for (std::uint64_t at = 0;;) {
    const std::size_t count = file.read(at, block.data(), block.size());
    hash.update({block.data(), count});
    at += count;
    if (count < block.size()) return {hash.size(), hash.digest()};
  }
}

}  // namespace polyphony
