#include <polyphony/board/server.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <httplib.h>

#include <polyphony/base/error.h>
#include <polyphony/board/json.h>
#include <polyphony/board/live.h>
#include <polyphony/board/page.h>
#include <polyphony/board/service.h>

namespace polyphony::board {
namespace {

/// Scripts, styles and data of this server alone; nothing in line, nothing from elsewhere, no frame
/// around it, and no text that becomes markup.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/// The library would compress "application/json" and "text/...", at brotli's slowest, and hold
/// events back. It compares letter by letter; for a browser a type has no case.
constexpr const char* kJson = "application/json; charset=utf-8";
constexpr const char* kEvents = "Text/event-stream";
constexpr const char* kCookie = "polyphony_board";
constexpr std::size_t kThreads = 64;
constexpr int kMostListeners = 48;
constexpr std::chrono::seconds kKeepAlive{10};

/// Takes as long for a wrong text as for a right one.
bool same_secret(const std::string& given, const std::string& secret) {
  unsigned difference = given.size() == secret.size() ? 0U : 1U;
  for (std::size_t i = 0; i < secret.size(); ++i) {
    const char c = i < given.size() ? given[i] : '\0';
    difference |= static_cast<unsigned char>(c) ^ static_cast<unsigned char>(secret[i]);
  }
  return difference == 0;
}

/// The value of our cookie; "" where there is none.
std::string cookie_of(const httplib::Request& request) {
  const std::string all = "; " + request.get_header_value("Cookie");
  const std::string name = fmt::format("; {}=", kCookie);
  const std::size_t at = all.find(name);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size();
  return all.substr(begin, all.find(';', begin) - begin);
}

bool has_token(const httplib::Request& request, const std::string& token) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string header = request.get_header_value("Authorization");
  if (header.starts_with(kBearer)) return same_secret(header.substr(kBearer.size()), token);
  return same_secret(cookie_of(request), token);
}

/// The name in a Host header, without the port.
std::string host_of(const httplib::Request& request) {
  const std::string host = request.get_header_value("Host");
  if (host.starts_with("[")) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

void refuse(httplib::Response& response, int status, const std::string& error,
            const std::string& remedy = {}) {
  response.status = status;
  response.set_content(dump(Json{{"error", error}, {"remedy", remedy}}), kJson);
}

/// Only parameters of the request's line: a body has nothing to say here.
Query query_of(const httplib::Request& request) {
  return Query({request.params.begin(), request.params.end()});
}

}  // namespace

bool is_loopback(const std::string& address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

struct Server::Impl {
  explicit Impl(const ServerOptions& given)
      : options(given),
        service(given.store),
        live([this] { return service.refresh(); }, given.interval) {}

  ServerOptions options;
  Service service;
  Live live;
  httplib::Server http;
  int port = 0;
  std::atomic<int> listeners{0};
  std::thread thread;

  void configure();
  bool admit(const httplib::Request& request, httplib::Response& response) const;
  void answer(const httplib::Request& request, httplib::Response& response);
  void audio(const httplib::Request& request, httplib::Response& response);
  void events(const httplib::Request& request, httplib::Response& response);
  bool tell(httplib::DataSink& sink, std::int64_t& version) const;
};

/// False where the response is already the refusal, or a redirection that sets the cookie.
bool Server::Impl::admit(const httplib::Request& request, httplib::Response& response) const {
  if (options.token.empty()) {
    if (is_loopback(host_of(request))) return true;
    refuse(response, 403, "this Host is not served", "open http://127.0.0.1");
    return false;
  }
  if (has_token(request, options.token)) return true;
  if (request.has_param("token") && same_secret(request.get_param_value("token"), options.token)) {
    response.set_header("Set-Cookie", fmt::format("{}={}; HttpOnly; SameSite=Strict; Path=/",
                                                  kCookie, options.token));
    response.set_redirect("/", 303);
    return false;
  }
  refuse(response, 401, "a token is needed", "open the address that `polyphony board` printed");
  return false;
}

void Server::Impl::configure() {
  http.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  http.set_payload_max_length(4096);
  http.set_keep_alive_max_count(10000);
  // The library's own choice, SO_REUSEPORT, would let a second board share the port unnoticed.
  http.set_socket_options([](int socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  http.set_default_headers({{"Content-Security-Policy", kPolicy},
                            {"X-Content-Type-Options", "nosniff"},
                            {"Referrer-Policy", "no-referrer"},
                            {"Cross-Origin-Resource-Policy", "same-origin"},
                            {"Cross-Origin-Opener-Policy", "same-origin"},
                            {"Cache-Control", "no-store"}});
  http.set_pre_routing_handler([this](const auto& request, auto& response) {
    return admit(request, response) ? httplib::Server::HandlerResponse::Unhandled
                                    : httplib::Server::HandlerResponse::Handled;
  });
  http.set_exception_handler([](const auto&, auto& response, const std::exception_ptr& thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const UsageError& error) {
      refuse(response, 400, error.what(), error.remedy());
    } catch (const Error& error) {
      refuse(response, error.exit_code() == ExitCode::kData ? 404 : 500, error.what(),
             error.remedy());
    } catch (const std::exception& error) {
      refuse(response, 500, error.what());
    }
  });
  for (const PageFile& file : page_files()) {
    http.Get(std::string(file.name), [&file](const auto&, auto& response) {
      response.set_content(file.bytes.data(), file.bytes.size(), std::string(file.type));
    });
  }
  http.Get(R"(/api/([a-z]+))",
           [this](const auto& request, auto& response) { answer(request, response); });
  http.Get("/audio", [this](const auto& request, auto& response) { audio(request, response); });
  http.Get("/events", [this](const auto& request, auto& response) { events(request, response); });
}

void Server::Impl::answer(const httplib::Request& request, httplib::Response& response) {
  auto text = service.answer(request.matches[1], query_of(request));
  if (text) {
    const bool binary = request.has_param("format");
    response.set_content(*text, binary ? "application/octet-stream" : kJson);
  } else {
    refuse(response, 404, "no such question",
           fmt::format("/api/ answers {}", fmt::join(Service::names(), ", ")));
  }
}

/// The library answers ranges itself from a provider of known length.
void Server::Impl::audio(const httplib::Request& request, httplib::Response& response) {
  const AudioFile file = service.audio(query_of(request));
  auto stream = std::make_shared<std::ifstream>(file.path, std::ios::binary);
  std::error_code error;
  const auto size = std::filesystem::file_size(file.path, error);
  if (!*stream || error) throw IoError(fmt::format("{}: cannot be read", file.path.string()));
  response.set_header("Accept-Ranges", "bytes");
  response.set_content_provider(
      size, file.type, [stream](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
        std::array<char, 65536> block{};
        stream->clear();
        stream->seekg(static_cast<std::streamoff>(offset));
        stream->read(block.data(), static_cast<std::streamsize>(std::min(length, block.size())));
        const auto got = static_cast<std::size_t>(stream->gcount());
        return got > 0 && sink.write(block.data(), got);
      });
}

/// One event, or a comment that keeps the connection open. False where nobody listens any more.
bool Server::Impl::tell(httplib::DataSink& sink, std::int64_t& version) const {
  const auto news = live.wait(version, kKeepAlive);
  if (live.stopped()) return false;
  std::string text = ": nothing new\n\n";
  if (news) {
    version = news->version;
    const Json data = {
        {"version", version}, {"runs", news->runs}, {"everything", news->everything}};
    text = fmt::format("id: {}\nevent: change\ndata: {}\n\n", version, dump(data));
  }
  return sink.write(text.data(), text.size());
}

void Server::Impl::events(const httplib::Request& request, httplib::Response& response) {
  if (listeners.fetch_add(1) >= kMostListeners) {
    --listeners;
    refuse(response, 503, "too many pages listen", "close some");
    return;
  }
  auto version = std::make_shared<std::int64_t>(live.version());
  // A browser that lost the connection says what it has heard last.
  const std::string heard = request.get_header_value("Last-Event-ID");
  if (!heard.empty()) *version = std::atoll(heard.c_str());
  auto greeted = std::make_shared<bool>(false);
  response.set_chunked_content_provider(
      kEvents,
      [this, version, greeted](std::size_t, httplib::DataSink& sink) {
        if (!*greeted) {
          *greeted = true;
          constexpr std::string_view kHello = "retry: 2000\nevent: hello\ndata: {}\n\n";
          return sink.write(kHello.data(), kHello.size());
        }
        if (tell(sink, *version)) return true;
        sink.done();
        return false;
      },
      [this](bool) { --listeners; });
}

Server::Server(const ServerOptions& options) {
  if (!is_loopback(options.address) && options.token.empty()) {
    throw UsageError(
        fmt::format("{}: others can reach this address, so a token is needed", options.address),
        "give one with --token, or leave --address out");
  }
  impl_ = std::make_unique<Impl>(options);
  impl_->configure();
  impl_->port = options.port;
  if (options.port == 0) {
    impl_->port = impl_->http.bind_to_any_port(options.address);
  } else if (!impl_->http.bind_to_port(options.address, options.port)) {
    impl_->port = -1;
  }
  if (impl_->port <= 0) {
    throw IoError(fmt::format("{}:{}: cannot listen there", options.address, options.port),
                  "another program has the port, or the address is not this machine's: choose "
                  "others with --port (0: any) and --address");
  }
}

Server::~Server() {
  if (impl_) stop();
}

void Server::start() {
  impl_->thread = std::thread([this] { impl_->http.listen_after_bind(); });
  // The library ignores a stop that comes before it runs.
  while (!impl_->http.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void Server::stop() {
  impl_->live.stop();
  impl_->http.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

int Server::port() const { return impl_->port; }

std::string Server::url() const {
  const ServerOptions& options = impl_->options;
  const bool v6 = options.address.find(':') != std::string::npos;
  return fmt::format("http://{}:{}/{}", v6 ? "[" + options.address + "]" : options.address,
                     impl_->port, options.token.empty() ? "" : "?token=" + options.token);
}

}  // namespace polyphony::board
