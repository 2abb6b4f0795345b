#include <polyphony/base/digest.h>

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/descriptor.h>
#include <polyphony/base/error.h>

namespace polyphony {

struct Digest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Digest::Digest(DigestKind kind) : state_(std::make_unique<State>()) {
  const EVP_MD* algorithm = kind == DigestKind::kSha1 ? EVP_sha1() : EVP_sha256();
  if (EVP_DigestInit_ex(state_->context, algorithm, nullptr) != 1) {
    throw std::runtime_error("OpenSSL refuses this digest");
  }
}

Digest::~Digest() = default;

void Digest::update(std::string_view bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

std::string Digest::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context, bytes.data(), &size);
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes.at(i));
  return text;
}

std::string file_digest(DigestKind kind, const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Digest digest(kind);
  std::vector<char> block(1 << 20);
  while (true) {
    const ssize_t n = file.get() < 0 ? -1 : ::read(file.get(), block.data(), block.size());
    if (n < 0 && file.get() >= 0 && errno == EINTR) continue;
    if (n < 0) {
      throw IoError(path.string() + ": cannot read: " + std::strerror(errno),
                    "check the path and its permissions");
    }
    if (n == 0) return digest.hex();
    digest.update({block.data(), static_cast<std::size_t>(n)});
  }
}

}  // namespace polyphony
