#include "hub/fake_hub.h"

#include <httplib.h>

#include <algorithm>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/digest.h>

namespace polyphony::hub {
namespace {

using httplib::Request;
using httplib::Response;

std::string sha256_of(const std::string& content) {
  Digest digest(DigestKind::kSha256);
  digest.update(content);
  return digest.hex();
}

std::string git_id_of(const std::string& content) {
  Digest digest(DigestKind::kSha1);
  digest.update("blob " + std::to_string(content.size()) + '\0');
  digest.update(content);
  return digest.hex();
}

void refuse(Response& response, int status, const char* code) {
  response.status = status;
  response.set_header("X-Error-Code", code);
}

}  // namespace

struct FakeHub::Servers {
  explicit Servers(FakeHub& owner) : hub(owner) {
    main.Get(R"(/api/models/(.+)/revision/([^/]+))",
             [this](const Request& request, Response& response) { list(request, response); });
    main.Get(R"(/(.+)/resolve/([^/]+)/(.+))",
             [this](const Request& request, Response& response) { resolve(request, response); });
    cdn.Get(R"(/cdn/([0-9a-f]+))",
            [this](const Request& request, Response& response) { serve(request, response); });
    for (httplib::Server* server : {&main, &cdn}) {
      auto& log = server == &main ? main_seen : cdn_seen;
      server->set_pre_routing_handler([this, &log](const Request& request, Response&) {
        const std::scoped_lock held(mutex);
        log.push_back({request.method, request.path, request.get_header_value("Authorization"),
                       request.get_header_value("Range")});
        return httplib::Server::HandlerResponse::Unhandled;
      });
      server->set_keep_alive_max_count(1000);
    }
    main_port = main.bind_to_any_port("127.0.0.1");
    cdn_port = cdn.bind_to_any_port("127.0.0.1");
    threads.emplace_back([this] { main.listen_after_bind(); });
    threads.emplace_back([this] { cdn.listen_after_bind(); });
    while (!main.is_running() || !cdn.is_running()) std::this_thread::yield();
  }

  ~Servers() { stop(); }

  void stop() {
    main.stop();
    cdn.stop();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  /// The repository, or nullptr after an answer that refuses it.
  const FakeRepository* find(const Request& request, Response& response) {
    if (hub.overloaded > 0) {
      --hub.overloaded;
      response.status = 503;
      return nullptr;
    }
    const auto found = hub.repositories.find(request.matches[1]);
    if (found == hub.repositories.end()) {
      refuse(response, 404, "RepoNotFound");
      return nullptr;
    }
    const FakeRepository& repository = found->second;
    if (!repository.token.empty() &&
        request.get_header_value("Authorization") != "Bearer " + repository.token) {
      refuse(response, request.has_header("Authorization") ? 403 : 401, "GatedRepo");
      return nullptr;
    }
    const std::string revision = request.matches[2];
    if (revision != "main" && revision != repository.commit) {
      refuse(response, 404, "RevisionNotFound");
      return nullptr;
    }
    return &repository;
  }

  void list(const Request& request, Response& response) {
    const std::scoped_lock held(mutex);
    if (!hub.listing) {
      response.status = 404;
      return;
    }
    const FakeRepository* repository = find(request, response);
    if (repository == nullptr) return;
    if (!repository->redirected_to.empty()) {
      response.set_redirect(fmt::format("/api/models/{}/revision/main", repository->redirected_to),
                            307);
      return;
    }
    nlohmann::json siblings = nlohmann::json::array();
    for (const auto& [name, file] : repository->files) siblings.push_back({{"rfilename", name}});
    response.set_content(nlohmann::json{{"sha", repository->commit}, {"siblings", siblings}}.dump(),
                         "application/json");
  }

  void resolve(const Request& request, Response& response) {
    const std::scoped_lock held(mutex);
    const FakeRepository* repository = find(request, response);
    if (repository == nullptr) return;
    if (!repository->redirected_to.empty()) {
      response.set_redirect(fmt::format("/{}/resolve/{}/{}", repository->redirected_to,
                                        request.matches[2].str(), request.matches[3].str()),
                            307);
      return;
    }
    const auto file = repository->files.find(request.matches[3]);
    if (file == repository->files.end()) {
      refuse(response, 404, "EntryNotFound");
      return;
    }
    const std::string& content = file->second.content;
    response.set_header("X-Repo-Commit", repository->commit);
    if (!file->second.large) {
      response.set_header("ETag", '"' + git_id_of(content) + '"');
      response.set_content(content, "text/plain");
      return;
    }
    const std::string hash = sha256_of(content);
    response.set_header("X-Linked-Etag", '"' + hash + '"');
    response.set_header("X-Linked-Size", std::to_string(content.size()));
    response.set_redirect(
        fmt::format("http://127.0.0.1:{}/cdn/{}?Signature=secret", cdn_port, hash), 302);
  }

  void serve(const Request& request, Response& response) {
    const std::scoped_lock held(mutex);
    const std::string* content = nullptr;
    for (const auto& [name, repository] : hub.repositories) {
      for (const auto& [file_name, file] : repository.files) {
        if (!file.large || sha256_of(file.content) != request.matches[1].str()) continue;
        content = file.served.empty() ? &file.content : &file.served;
      }
    }
    if (content == nullptr) {
      response.status = 404;
      return;
    }
    if (!hub.ranges) const_cast<Request&>(request).ranges.clear();
    std::optional<std::size_t> cut;
    if (!hub.cuts.empty()) {
      cut = hub.cuts.front();
      hub.cuts.erase(hub.cuts.begin());
    }
    // What is served starts at `offset` for a range; a cut counts from there.
    auto left = std::make_shared<std::size_t>(cut.value_or(content->size()));
    response.set_content_provider(
        content->size(), "application/octet-stream",
        [content, cut, left](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
          if (cut && *left == 0) return false;
          const std::size_t piece = std::min({length, *left, std::size_t{4096}});
          if (cut) *left -= piece;
          return sink.write(content->data() + offset, piece);
        });
  }

  FakeHub& hub;
  httplib::Server main;
  httplib::Server cdn;
  int main_port = 0;
  int cdn_port = 0;
  mutable std::mutex mutex;
  std::vector<Seen> main_seen;
  std::vector<Seen> cdn_seen;
  std::vector<std::thread> threads;
};

FakeHub::FakeHub() : servers_(std::make_unique<Servers>(*this)) {}
FakeHub::~FakeHub() = default;

std::string FakeHub::endpoint() const {
  return fmt::format("http://127.0.0.1:{}", servers_->main_port);
}

std::vector<Seen> FakeHub::seen() const {
  const std::scoped_lock held(servers_->mutex);
  std::vector<Seen> all = servers_->main_seen;
  all.insert(all.end(), servers_->cdn_seen.begin(), servers_->cdn_seen.end());
  return all;
}

std::vector<Seen> FakeHub::seen_by_cdn() const {
  const std::scoped_lock held(servers_->mutex);
  return servers_->cdn_seen;
}

void FakeHub::forget() {
  const std::scoped_lock held(servers_->mutex);
  servers_->main_seen.clear();
  servers_->cdn_seen.clear();
}

void FakeHub::stop() { servers_->stop(); }

}  // namespace polyphony::hub
