#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace polyphony::hub {

/// A file of the fake hub.
struct FakeFile {
  std::string content;
  bool large = false;       ///< Git LFS: served by the CDN, its etag is the SHA-256
  std::string served = {};  ///< what the CDN sends instead, where not empty
};

struct FakeRepository {
  std::string commit = std::string(40, 'a');
  std::map<std::string, FakeFile> files;
  std::string token;          ///< what it takes to see it; empty: public
  std::string redirected_to;  ///< its new name
};

/// A request as the server saw it.
struct Seen {
  std::string method;
  std::string path;
  std::string authorization;
  std::string range;
};

/// Two servers on this host that behave like huggingface.co and its CDN: listings, HEAD with
/// X-Repo-Commit, X-Linked-Etag and X-Linked-Size, redirects to the CDN, ranges, 401, 404.
class FakeHub {
 public:
  FakeHub();
  ~FakeHub();

  std::string endpoint() const;

  std::map<std::string, FakeRepository> repositories;
  bool listing = true;            ///< has it /api/models?
  bool ranges = true;             ///< does the CDN know ranges?
  std::vector<std::size_t> cuts;  ///< bytes after which the CDN's next answers break off
  int overloaded = 0;             ///< answers of 503 before the hub works

  /// Everything that either server was asked so far.
  std::vector<Seen> seen() const;
  std::vector<Seen> seen_by_cdn() const;
  void forget();
  /// No server answers from here on.
  void stop();

 private:
  struct Servers;
  std::unique_ptr<Servers> servers_;
};

}  // namespace polyphony::hub
