#include <polyphony/hub/http.h>

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/signals.h>

namespace polyphony::hub {
namespace {

constexpr int kMostRedirects = 10;
constexpr std::size_t kMostBody = std::size_t{64} << 20;  // listings; files go to a sink

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

Url parsed(const std::string& text) {
  Url url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    throw DataError(text + ": no address of a file", "check HF_ENDPOINT");
  }
  return url;
}

std::string part(const Url& url, CURLUPart which, unsigned int flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, flags) != CURLUE_OK) return {};
  std::string value(text);
  curl_free(text);
  return value;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Without the query: signed addresses of a CDN are secrets.
std::string shown(const std::string& url) { return url.substr(0, url.find('?')); }

/// What the callbacks of one request need.
struct Exchange {
  CURL* curl = nullptr;
  Response response;
  const Sink* sink = nullptr;
  std::exception_ptr failure;
};

std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view line(data, size);
  if (line.starts_with("HTTP/")) exchange.response.headers.clear();  // after a 100 Continue
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front())) != 0) {
    value.remove_prefix(1);
  }
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back())) != 0) {
    value.remove_suffix(1);
  }
  exchange.response.headers[lower(std::string(line.substr(0, colon)))] = std::string(value);
  return size;
}

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  curl_easy_getinfo(exchange.curl, CURLINFO_RESPONSE_CODE, &exchange.response.status);
  try {
    if (exchange.sink != nullptr && exchange.response.status / 100 == 2) {
      (*exchange.sink)(exchange.response, {data, size});
    } else if (exchange.response.body.size() + size <= kMostBody) {
      exchange.response.body.append(data, size);
    }
    return size;
  } catch (...) {
    exchange.failure = std::current_exception();
    return 0;
  }
}

int on_progress(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return StopSignals::requested() != 0 ? 1 : 0;
}

void start_libcurl() {
  static const CURLcode kStarted = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kStarted != CURLE_OK) throw std::runtime_error("libcurl cannot start");
}

[[noreturn]] void fail(CURLcode code, const std::string& url, const char* detail) {
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    throw Interrupted::unsaved(StopSignals::requested(),
                               shown(url) +
                                   ": what has come is kept: the same command goes on "
                                   "from there");
  }
  const char* text = *detail != '\0' ? detail : curl_easy_strerror(code);
  throw ConnectionError(fmt::format("{}: {}", shown(url), text),
                        "check the network, HF_ENDPOINT and the proxy (https_proxy)");
}

}  // namespace

struct Http::Handle {
  CURL* curl = curl_easy_init();
  ~Handle() { curl_easy_cleanup(curl); }
};

struct Http::Request {
  enum class Method { kGet, kHead };
  Method method = Method::kGet;
  std::string url;
  std::uint64_t offset = 0;
  const Sink* sink = nullptr;
};

std::optional<std::string> Response::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::nullopt : std::optional(found->second);
}

Http::Http(HttpOptions options) : options_(std::move(options)) {
  start_libcurl();
  handle_ = std::make_unique<Handle>();
}

Http::~Http() = default;

/// One request, one answer; redirects are the caller's, who decides what goes where.
Response Http::perform(const Request& request) {
  CURL* curl = handle_->curl;
  curl_easy_reset(curl);
  Exchange exchange;
  exchange.curl = curl;
  exchange.sink = request.sink;
  std::string detail(CURL_ERROR_SIZE, '\0');
  curl_slist* lines = curl_slist_append(nullptr, "Accept-Encoding: identity");
  if (!options_.token.empty() && same_origin(request.url, options_.endpoint)) {
    lines = curl_slist_append(lines, ("Authorization: Bearer " + options_.token).c_str());
  }
  const std::unique_ptr<curl_slist, FreeList> headers(lines);
  const std::string range = fmt::format("{}-", request.offset);
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "polyphony; transformers/4.27.1");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, long{options_.connect_timeout.count()});
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, long{options_.stall_timeout.count()});
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail.data());
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  if (request.method == Request::Method::kHead) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (request.offset > 0) curl_easy_setopt(curl, CURLOPT_RANGE, range.c_str());
  if (!options_.certificates.empty()) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, options_.certificates.c_str());
  }
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  if (exchange.failure) std::rethrow_exception(exchange.failure);
  if (code != CURLE_OK) fail(code, request.url, detail.c_str());
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &exchange.response.status);
  return std::move(exchange.response);
}

Response Http::get(const std::string& url) { return download(url, 0, nullptr); }

Response Http::download(const std::string& url, std::uint64_t offset, const Sink& sink) {
  Request request{Request::Method::kGet, url, offset, sink ? &sink : nullptr};
  for (int hops = 0; hops <= kMostRedirects; ++hops) {
    Response response = perform(request);
    const auto location = response.header("location");
    if (response.status / 100 != 3 || !location) return response;
    request.url = resolve_url(request.url, *location);
  }
  throw ConnectionError(fmt::format("{}: more than {} redirects", shown(url), kMostRedirects),
                        "check HF_ENDPOINT");
}

Response Http::head(const std::string& url) {
  Request request{Request::Method::kHead, url, 0, nullptr};
  std::map<std::string, std::string> said;
  for (int hops = 0; hops <= kMostRedirects; ++hops) {
    Response response = perform(request);
    for (const auto& [name, value] : response.headers) {
      if (name.starts_with("x-linked-") || name == "x-repo-commit") said.emplace(name, value);
    }
    const auto location = response.header("location");
    const bool redirected = response.status / 100 == 3 && location;
    const std::string next = redirected ? resolve_url(request.url, *location) : "";
    if (!redirected || said.contains("x-linked-etag") || !same_origin(request.url, next)) {
      for (const auto& [name, value] : said) response.headers[name] = value;
      return response;
    }
    request.url = next;
  }
  throw ConnectionError(fmt::format("{}: more than {} redirects", shown(url), kMostRedirects),
                        "check HF_ENDPOINT");
}

std::string resolve_url(const std::string& base, const std::string& location) {
  const Url url = parsed(base);
  if (curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) {
    throw DataError(shown(base) + ": redirects to what is no address", "check HF_ENDPOINT");
  }
  return part(url, CURLUPART_URL);
}

bool same_origin(const std::string& a, const std::string& b) {
  const Url first = parsed(a);
  const Url second = parsed(b);
  return lower(part(first, CURLUPART_SCHEME)) == lower(part(second, CURLUPART_SCHEME)) &&
         lower(part(first, CURLUPART_HOST)) == lower(part(second, CURLUPART_HOST)) &&
         part(first, CURLUPART_PORT, CURLU_DEFAULT_PORT) ==
             part(second, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

std::string escape_path(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte < 0x80 && std::isalnum(byte) != 0) ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    if (plain) {
      text += c;
    } else {
      text += fmt::format("%{:02X}", byte);
    }
  }
  return text;
}

}  // namespace polyphony::hub
