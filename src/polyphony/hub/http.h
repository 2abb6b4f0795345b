#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <polyphony/base/error.h>

namespace polyphony::hub {

/// No answer, or half of one: the host is unknown, the connection refused, cut or silent.
class ConnectionError : public IoError {
 public:
  using IoError::IoError;
};

struct HttpOptions {
  std::string endpoint;      ///< where `token` may go, e.g. "https://huggingface.co"
  std::string token;         ///< sent to the endpoint's scheme, host and port, and nowhere else
  std::string certificates;  ///< file of trusted certificates; empty: the system's
  std::chrono::seconds connect_timeout{10};
  std::chrono::seconds stall_timeout{30};  ///< without a byte, a transfer counts as cut
};

struct Response {
  long status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;                            ///< empty where a sink took it

  std::optional<std::string> header(const std::string& name) const;
};

/// Takes the body of a successful answer piece by piece; `answer` has status and headers.
using Sink = std::function<void(const Response& answer, std::string_view bytes)>;

/// HTTP over libcurl, one connection kept open. Proxies as libcurl's variables say (https_proxy,
/// …).
class Http {
 public:
  explicit Http(HttpOptions options);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  /// Follows redirects, wherever they lead.
  /// @throws ConnectionError; Interrupted where StopSignals asks for a stop
  Response get(const std::string& url);
  /// As get, from byte `offset` on where the server can (status 206; 200 is the whole).
  Response download(const std::string& url, std::uint64_t offset, const Sink& sink);
  /// Follows redirects within one origin only. What the hub says of a file (X-Linked-Etag,
  /// X-Repo-Commit, …) is kept from the answer that says it first.
  Response head(const std::string& url);

 private:
  struct Request;
  struct Handle;
  Response perform(const Request& request);

  HttpOptions options_;
  std::unique_ptr<Handle> handle_;
};

/// An address relative to another, as a Location header may be.
/// @throws DataError where either is malformed
std::string resolve_url(const std::string& base, const std::string& location);
/// Do both have one scheme, host and port?
bool same_origin(const std::string& a, const std::string& b);
/// For a path in an address: all but letters, digits and -._~/ as %XX.
std::string escape_path(std::string_view path);

}  // namespace polyphony::hub
