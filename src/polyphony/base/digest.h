#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace polyphony {

enum class DigestKind { kSha1, kSha256 };

/// A hash that takes its bytes piece by piece.
class Digest {
 public:
  explicit Digest(DigestKind kind);
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  void update(std::string_view bytes);
  /// Lower-case hexadecimal digits. Ends the digest: neither may be called again.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// @throws IoError where the file cannot be read
std::string file_digest(DigestKind kind, const std::filesystem::path& path);

}  // namespace polyphony
