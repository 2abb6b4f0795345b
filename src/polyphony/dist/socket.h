#pragma once

#include <chrono>
#include <string>

namespace polyphony::dist {

/// A TCP socket that closes itself. -1 if there is none.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { close(); }
  Socket(Socket&& other) noexcept : fd_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  void close();

 private:
  int fd_ = -1;
};

/// Listens on a numeric address, at a port that the system chooses.
/// @throws IoError naming the address
Socket listen_at(const std::string& address);
int port_of(const Socket& listener);
/// @throws IoError naming address, port and the system's reason
Socket connect_to(const std::string& address, int port, std::chrono::milliseconds timeout);

/// The numeric address of this host that packets to `host` leave from, so that peers who reach
/// `host` reach it too. @throws IoError if the name has no address or no route
std::string address_towards(const std::string& host);
/// The first address of this host that is not the loopback's; "" if it has none.
std::string outside_address();
bool is_loopback(const std::string& address);
/// A port on the loopback that was free a moment ago.
int free_port();

}  // namespace polyphony::dist
