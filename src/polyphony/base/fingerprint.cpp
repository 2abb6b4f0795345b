#include <polyphony/base/fingerprint.h>

#include <algorithm>
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

}  // namespace

// XXH64 with seed 0 (xxhash.com, doc/xxhash_spec.md).

Fingerprinter::Fingerprinter() : lanes_{kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1} {}

void Fingerprinter::add(std::string_view bytes) {
  const std::size_t held = size_ % kStripe;
  size_ += bytes.size();
  if (held > 0) {
    const std::size_t count = std::min(kStripe - held, bytes.size());
    std::copy_n(bytes.data(), count, rest_.data() + held);
    bytes.remove_prefix(count);
    if (held + count < kStripe) return;
    add_stripes({rest_.data(), kStripe});
  }
  const std::size_t rest = bytes.size() % kStripe;
  add_stripes(bytes.substr(0, bytes.size() - rest));
  std::copy_n(bytes.end() - rest, rest, rest_.data());
}

void Fingerprinter::add_stripes(std::string_view stripes) {
  auto lanes = lanes_;
  for (const char* at = stripes.data(); at != stripes.data() + stripes.size(); at += kStripe) {
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      lanes[i] = mixed(lanes[i], word_at<std::uint64_t>(at + 8 * i));
    }
  }
  lanes_ = lanes;
}

Fingerprint Fingerprinter::fingerprint() const {
  std::uint64_t hash = kPrime5;
  if (size_ >= kStripe) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
           std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_) hash = (hash ^ mixed(0, lane)) * kPrime1 + kPrime4;
  }
  hash += size_;
  const std::size_t rest = size_ % kStripe;
  std::size_t at = 0;
  for (; rest - at >= 8; at += 8) {
    hash = std::rotl(hash ^ mixed(0, word_at<std::uint64_t>(rest_.data() + at)), 27) * kPrime1 +
           kPrime4;
  }
  if (rest - at >= 4) {
    hash = std::rotl(hash ^ word_at<std::uint32_t>(rest_.data() + at) * kPrime1, 23) * kPrime2 +
           kPrime3;
    at += 4;
  }
  for (; at < rest; ++at) {
    hash = std::rotl(hash ^ static_cast<unsigned char>(rest_[at]) * kPrime5, 11) * kPrime1;
  }
  hash = (hash ^ hash >> 33) * kPrime2;
  hash = (hash ^ hash >> 29) * kPrime3;
  return {size_, hash ^ hash >> 32};
}

Fingerprint fingerprint(std::string_view bytes) {
  Fingerprinter fingerprinter;
  fingerprinter.add(bytes);
  return fingerprinter.fingerprint();
}

Fingerprint file_fingerprint(const std::filesystem::path& path) {
  const FileReader file(path);
  Fingerprinter fingerprinter;
  std::vector<char> block(1 << 20);
  for (std::uint64_t at = 0;;) {
    const std::size_t count = file.read(at, block.data(), block.size());
    fingerprinter.add({block.data(), count});
    at += count;
    if (count < block.size()) return fingerprinter.fingerprint();
  }
}

}  // namespace polyphony
