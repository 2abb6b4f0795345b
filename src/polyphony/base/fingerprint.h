#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace polyphony {

/// What a file is known by: its size and XXH64 of its bytes. It tells files apart at the speed of
/// memory, so that gigabytes can be taken on the way to the disk; against forgery it is no guard.
struct Fingerprint {
  std::uint64_t size = 0;
  std::uint64_t digest = 0;

  bool operator==(const Fingerprint&) const = default;
};

/// Takes the fingerprint of bytes that come in parts.
class Fingerprinter {
 public:
  Fingerprinter();
  void add(std::string_view bytes);
  /// Of all that was added.
  Fingerprint fingerprint() const;

 private:
  static constexpr std::size_t kStripe = 32;
  void add_stripes(std::string_view stripes);

  std::array<std::uint64_t, 4> lanes_;
  std::array<char, kStripe> rest_{};  ///< what is no whole stripe yet
  std::uint64_t size_ = 0;
};

Fingerprint fingerprint(std::string_view bytes);
/// @throws IoError where the file cannot be read
Fingerprint file_fingerprint(const std::filesystem::path& path);

}  // namespace polyphony
