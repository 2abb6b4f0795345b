#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include <polyphony/hub/http.h>

namespace polyphony::hub {

using Sleep = std::function<void(std::chrono::milliseconds)>;

struct TransferOptions {
  int retries = 5;                   ///< tries in a row that bring no new byte, before giving up
  Sleep sleep;                       ///< between tries: 1 s, 2 s, 4 s, … at most 30 s
  std::ostream* progress = nullptr;  ///< borrowed; null: silent
};

/// One file as the hub describes it.
struct RemoteFile {
  std::string name;  ///< e.g. "model.safetensors"
  std::string url;
  std::string etag;                   ///< what it is called among the blobs
  std::optional<std::uint64_t> size;  ///< bytes
};

/// Puts the file at `blob`, whole and checked, or not at all. What has come stands in
/// BLOB.incomplete; another call, in any process, goes on from there. One process at a time
/// downloads (`lock`), the others wait for it.
/// An etag of 64 hexadecimal digits is the SHA-256, one of 40 git's id of the content (or its plain
/// SHA-1, as mirrors have it); other etags cannot be checked.
/// @throws ConnectionError where every try fails, DataError for a wrong size or hash, IoError where
/// the disk is full
void fetch_blob(Http& http, const RemoteFile& file, const std::filesystem::path& blob,
                const std::filesystem::path& lock, const TransferOptions& options);

/// Tries again where the connection breaks or the server is overloaded (429, 5xx).
/// @throws the last ConnectionError
Response with_retries(const std::function<Response()>& request, const TransferOptions& options);

}  // namespace polyphony::hub
