#include <polyphony/dist/socket.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::dist {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

[[noreturn]] void fail(const std::string& what, int error) {
  throw IoError(fmt::format("{}: {}", what, std::strerror(error)),
                "look at MASTER_ADDR, MASTER_PORT and the firewall between the hosts");
}

AddressList resolve(const std::string& host, int port, int type) {
  addrinfo hints{};
  hints.ai_socktype = type;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) {
    throw IoError(fmt::format("{}: {}", host, gai_strerror(code)),
                  "MASTER_ADDR is the name or the address of rank 0's host; try its address");
  }
  return {found, freeaddrinfo};
}

std::string text_of(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  const void* bytes =
      address->sa_family == AF_INET6
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr)
          : &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  inet_ntop(address->sa_family, bytes, text, sizeof(text));
  return text;
}

Socket open_socket(const addrinfo& address) {
  return Socket(socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, 0));
}

sockaddr_storage name_of(const Socket& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size);
  return address;
}

/// Connects within the timeout. @returns 0 or the error's number
int connect_within(const Socket& socket, const addrinfo& address,
                   std::chrono::milliseconds timeout) {
  fcntl(socket.fd(), F_SETFL, O_NONBLOCK);
  if (connect(socket.fd(), address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd waiting{socket.fd(), POLLOUT, 0};
  if (poll(&waiting, 1, static_cast<int>(timeout.count())) <= 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = other.release();
  }
  return *this;
}

int Socket::release() { return std::exchange(fd_, -1); }

void Socket::close() {
  if (fd_ >= 0) ::close(release());
}

Socket listen_at(const std::string& address) {
  const AddressList addresses = resolve(address, 0, SOCK_STREAM);
  Socket socket = open_socket(*addresses);
  constexpr int kBacklog = 1024;
  if (!socket || bind(socket.fd(), addresses->ai_addr, addresses->ai_addrlen) != 0 ||
      listen(socket.fd(), kBacklog) != 0) {
    fail("cannot listen at " + address, errno);
  }
  fcntl(socket.fd(), F_SETFL, O_NONBLOCK);
  return socket;
}

int port_of(const Socket& listener) {
  const sockaddr_storage address = name_of(listener);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

Socket connect_to(const std::string& address, int port, std::chrono::milliseconds timeout) {
  const AddressList addresses = resolve(address, port, SOCK_STREAM);
  Socket socket = open_socket(*addresses);
  const int error = socket ? connect_within(socket, *addresses, timeout) : errno;
  if (error != 0) fail(fmt::format("cannot connect to {}:{}", address, port), error);
  const int on = 1;
  setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return socket;
}

std::string address_towards(const std::string& host) {
  constexpr int kDiscard = 9;  // nothing is sent: connecting a datagram socket only picks a route
  const AddressList addresses = resolve(host, kDiscard, SOCK_DGRAM);
  const Socket socket = open_socket(*addresses);
  if (!socket || connect(socket.fd(), addresses->ai_addr, addresses->ai_addrlen) != 0) {
    fail("no route to " + host, errno);
  }
  const sockaddr_storage address = name_of(socket);
  return text_of(reinterpret_cast<const sockaddr*>(&address));
}

std::string outside_address() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return "";
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(all, freeifaddrs);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    const std::string address = text_of(one->ifa_addr);
    if (!is_loopback(address)) return address;
  }
  return "";
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

int free_port() { return port_of(listen_at("127.0.0.1")); }

}  // namespace polyphony::dist
