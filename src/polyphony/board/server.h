#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

namespace polyphony::board {

struct ServerOptions {
  std::filesystem::path store;
  std::string address = "127.0.0.1";  ///< to listen on
  int port = 8265;                    ///< 0: any that is free
  std::string token;                  ///< who has it may read; "": everyone who reaches the address
  std::chrono::milliseconds interval{500};  ///< between two looks for changes
};

/// The dashboard over HTTP. It only ever reads.
///
/// Without a token it answers requests whose Host is this machine's own loopback name (a page of
/// another origin cannot reach it by a name of its own that points here). With one, every request
/// needs it: `?token=` once, which sets a cookie, or `Authorization: Bearer`.
class Server {
 public:
  /// Opens the store and takes the port.
  /// @throws IoError where there is no store or the port is taken; UsageError for an address that
  ///         is not loopback without a token
  explicit Server(const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Answers from now on, in threads of its own.
  void start();
  /// Ends all connections. A second call does nothing.
  void stop();
  int port() const;
  /// To open in a browser; with the token where there is one.
  std::string url() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether an address is 127.0.0.0/8, ::1 or localhost.
bool is_loopback(const std::string& address);

}  // namespace polyphony::board
