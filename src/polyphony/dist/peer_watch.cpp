#include <polyphony/dist/peer_watch.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace polyphony::dist {
namespace {

using std::chrono::milliseconds;

milliseconds interval(milliseconds timeout) {
  constexpr milliseconds kLongest{1000};
  return std::min(kLongest, timeout / 10);
}
milliseconds silence_limit(milliseconds timeout) { return timeout / 2; }
milliseconds grace(milliseconds timeout) { return timeout / 4; }

/// "WORD NUMBER REST" of a line.
struct Message {
  std::string word;
  std::int64_t number = 0;
  std::string rest;
};

Message parse(const std::string& line) {
  Message message;
  const std::size_t space = std::min(line.find(' '), line.size());
  message.word = line.substr(0, space);
  if (space == line.size()) return message;
  const char* end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data() + space + 1, end, message.number);
  if (stop != end) message.rest = std::string(stop + 1, end);
  return message;
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  constexpr std::size_t kMost = 2000;
  return text.substr(0, kMost);
}

}  // namespace

PeerWatch::PeerWatch(Options options, Socket listener)
    : options_(std::move(options)),
      listener_(std::move(listener)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      progress_of_(options_.hosts.size(), 0) {
  // Every rank has a place from the start, so that one that never connects is found silent.
  for (std::size_t rank = 1; rank < options_.hosts.size(); ++rank) {
    Peer& peer = peers_.emplace_back();
    peer.rank = static_cast<int>(rank);
    peer.heard = Clock::now();
  }
  thread_ = std::thread([this] { run(); });
}

PeerWatch::PeerWatch(Options options, const std::string& address, int port)
    : options_(std::move(options)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      progress_of_(options_.hosts.size(), 0) {
  Peer& hub = peers_.emplace_back();
  hub.rank = 0;
  hub.socket = connect_to(address, port, options_.timeout);
  hub.heard = Clock::now();
  send_all(fmt::format("rank {}", options_.rank));
  thread_ = std::thread([this] { run(); });
}

PeerWatch::~PeerWatch() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_ = stopping_ = true;
  }
  eventfd_write(wake_.fd(), 1);
  thread_.join();
  part();
}

/// Closes the connections so that what was said last still arrives: a socket that is closed with
/// unread input drops its output.
void PeerWatch::part() {
  constexpr int kPatience = 200;
  for (Peer& peer : peers_) {
    if (!peer.socket) continue;
    shutdown(peer.socket.fd(), SHUT_WR);
    pollfd waiting{peer.socket.fd(), POLLIN, 0};
    char buffer[512];
    while (lost_ && poll(&waiting, 1, kPatience) > 0 &&
           recv(peer.socket.fd(), buffer, sizeof(buffer), 0) > 0) {
    }
  }
}

void PeerWatch::leave() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ending_ = true;
  if (!lost_) send_all("bye");
}

void PeerWatch::fail(const std::string& error) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ending_ = true;
  if (lost_) return;
  if (options_.rank == 0) {
    send_all(fmt::format("lost 0 failed: {}", one_line(error)));
  } else {
    send_all(fmt::format("failed 0 {}", one_line(error)));
  }
}

std::optional<PeerLost> PeerWatch::loss_within(milliseconds patience) {
  std::unique_lock<std::mutex> lock(mutex_);
  lost_changed_.wait_for(lock, patience, [this] { return lost_.has_value(); });
  return lost_;
}

milliseconds PeerWatch::detection_time() const {
  return silence_limit(options_.timeout) + 2 * interval(options_.timeout);
}

std::optional<int> PeerWatch::laggard() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto least = std::min_element(progress_of_.begin(), progress_of_.end());
  const auto rank = static_cast<int>(least - progress_of_.begin());
  if (rank == options_.rank || *least >= progress_.load()) return std::nullopt;
  return rank;
}

std::string PeerWatch::name(int rank) const {
  return fmt::format("rank {} (host {})", rank, options_.hosts[static_cast<std::size_t>(rank)]);
}

void PeerWatch::run() {
  const milliseconds every = interval(options_.timeout);
  Clock::time_point last_loop = Clock::now();
  Clock::time_point next_beat = last_loop;
  while (true) {
    wait_for_input();
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    const Clock::time_point now = Clock::now();
    if (listener_) accept_peers();
    for (Peer& peer : peers_) {
      if (peer.socket) read(peer);
      // A process that was itself stopped cannot blame the others for what it has not heard.
      if (now - last_loop > 3 * every) peer.heard = now;
    }
    last_loop = now;
    look_for_silence(now);
    if (now >= next_beat) {
      beat();
      next_beat = now + every;
    }
    if (lost_ && !ending_ && now - lost_at_ > grace(options_.timeout) && options_.give_up) {
      std::exchange(options_.give_up, nullptr)(*lost_);
    }
  }
}

void PeerWatch::wait_for_input() {
  std::vector<pollfd> waiting = {{wake_.fd(), POLLIN, 0}};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (listener_) waiting.push_back({listener_.fd(), POLLIN, 0});
    for (const Peer& peer : peers_) {
      if (peer.socket) waiting.push_back({peer.socket.fd(), POLLIN, 0});
    }
  }
  poll(waiting.data(), waiting.size(), static_cast<int>(interval(options_.timeout).count()));
}

void PeerWatch::accept_peers() {
  while (true) {
    Socket socket(accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    Peer& stranger = peers_.emplace_back();
    stranger.socket = std::move(socket);
    stranger.heard = Clock::now();
  }
}

void PeerWatch::read(Peer& peer) {
  char buffer[4096];
  ssize_t got = 0;
  while ((got = recv(peer.socket.fd(), buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
    peer.input.append(buffer, static_cast<std::size_t>(got));
  }
  const int error = errno;
  std::size_t end = 0;
  while ((end = peer.input.find('\n')) != std::string::npos) {
    const std::string line = peer.input.substr(0, end);
    peer.input.erase(0, end + 1);
    peer.heard = Clock::now();
    take_line(peer, line);
  }
  if (got == 0) {
    closed(peer, "has ended");
  } else if (error != EAGAIN && error != EWOULDBLOCK && error != EINTR) {
    closed(peer, fmt::format("cannot be reached: {}", std::strerror(error)));
  }
}

void PeerWatch::take_line(Peer& peer, const std::string& line) {
  const Message message = parse(line);
  const bool ours = message.number > 0 && message.number < std::ssize(options_.hosts);
  if (message.word == "rank" && peer.rank < 0 && ours) {
    // The place that was kept for it is the stranger's now.
    const auto place = std::find_if(peers_.begin(), peers_.end(), [&](const Peer& other) {
      return other.rank == static_cast<int>(message.number);
    });
    if (place == peers_.end() || place->socket) return;
    place->socket = std::move(peer.socket);
    place->input = std::exchange(peer.input, "");
    place->heard = Clock::now();
    return;
  }
  if (peer.rank < 0) return;
  if (message.word == "beat") {
    progress_of_[static_cast<std::size_t>(peer.rank)] = message.number;
  } else if (message.word == "slowest") {
    // Rank 0's word on who has come to the fewest exchanges.
    std::int64_t rank = 0;
    std::from_chars(message.rest.data(), message.rest.data() + message.rest.size(), rank);
    std::fill(progress_of_.begin(), progress_of_.end(), progress_.load());
    if (rank >= 0 && rank < std::ssize(progress_of_)) {
      progress_of_[static_cast<std::size_t>(rank)] = message.number;
    }
  } else if (message.word == "bye") {
    peer.left = true;
  } else if (message.word == "failed") {
    lose(peer.rank, "failed: " + message.rest);
  } else if (message.word == "lost") {
    lose(ours ? static_cast<int>(message.number) : 0, message.rest);
  }
}

void PeerWatch::closed(Peer& peer, const std::string& reason) {
  peer.socket.close();
  if (peer.rank >= 0 && !peer.left) lose(peer.rank, reason);
}

void PeerWatch::look_for_silence(Clock::time_point now) {
  const milliseconds limit = silence_limit(options_.timeout);
  for (const Peer& peer : peers_) {
    if (peer.rank < 0 || peer.left || now - peer.heard <= limit) continue;
    lose(peer.rank, fmt::format("has not been heard of for {:.1f} s: it hangs, was stopped, or is "
                                "cut off from the network",
                                std::chrono::duration<double>(now - peer.heard).count()));
  }
}

void PeerWatch::beat() {
  progress_of_[static_cast<std::size_t>(options_.rank)] = progress_.load();
  if (options_.rank != 0) {
    send_all(fmt::format("beat {}", progress_.load()));
    return;
  }
  const auto least = std::min_element(progress_of_.begin(), progress_of_.end());
  send_all(fmt::format("slowest {} {}", *least, least - progress_of_.begin()));
}

void PeerWatch::lose(int rank, const std::string& reason) {
  if (lost_ || ending_) return;
  lost_.emplace(rank, fmt::format("{} {}", name(rank), reason));
  lost_at_ = Clock::now();
  if (options_.rank == 0) send_all(fmt::format("lost {} {}", rank, one_line(reason)), rank);
  lost_changed_.notify_all();
  if (options_.on_loss) options_.on_loss(*lost_);
}

void PeerWatch::send_all(const std::string& line, int except) {
  const std::string bytes = line + "\n";
  for (const Peer& peer : peers_) {
    if (!peer.socket || peer.rank < 0 || peer.rank == except) continue;
    // A full buffer means a peer that does not read; silence will tell.
    [[maybe_unused]] const ssize_t sent =
        send(peer.socket.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

}  // namespace polyphony::dist
