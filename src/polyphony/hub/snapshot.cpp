#include <polyphony/hub/snapshot.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/json.h>
#include <polyphony/base/signals.h>
#include <polyphony/hub/cache.h>
#include <polyphony/hub/refusal.h>
#include <polyphony/hub/selection.h>
#include <polyphony/hub/settings.h>

namespace polyphony::hub {
namespace {

namespace fs = std::filesystem;

/// Is it a model's name on the hub: "org/name" or "name"?
bool is_name(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  const std::size_t slash = text.find('/');
  const std::string first = text.substr(0, slash);
  const std::string second = slash == std::string::npos ? "x" : text.substr(slash + 1);
  for (const std::string& part : {first, second}) {
    if (part.empty() || part.find_first_not_of(kPlain) != std::string::npos) return false;
    if (part.starts_with('.') || part.starts_with('-') || part.ends_with('.')) return false;
  }
  return text.find("--") == std::string::npos && text.find("..") == std::string::npos;
}

void require_name(const std::string& text) {
  std::error_code error;
  if (fs::exists(text, error)) {
    throw ConfigError(text + ": a file, not a folder with config.json and weights",
                      "name the folder that it is in");
  }
  if (is_name(text)) return;
  throw ConfigError(fmt::format("'{}': neither a folder that is there nor a model's name", text),
                    "check the path, or write a name as facebook/hubert-large-ls960-ft");
}

/// A path inside a folder: relative, no step upwards.
bool stays_inside(const fs::path& path) {
  return !path.empty() && path.is_relative() &&
         std::none_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
}

std::string etag_of(const Response& answer) {
  std::string etag = answer.header("x-linked-etag").value_or(answer.header("etag").value_or(""));
  if (etag.starts_with("W/")) etag = etag.substr(2);
  std::erase(etag, '"');
  return etag;
}

std::optional<std::uint64_t> size_of(const Response& answer) {
  auto text = answer.header("x-linked-size");
  if (!text && answer.status == 200) text = answer.header("content-length");
  if (!text || text->empty() || text->find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoull(*text);
}

/// What a revision holds.
struct Listing {
  std::string commit;
  std::string resolved_as;  ///< how its files are asked for: the commit, or the revision's name
  std::vector<std::string> files;
};

/// One call of snapshot().
class Fetch {
 public:
  Fetch(std::string name, const SnapshotOptions& options)
      : name_(std::move(name)),
        options_(options),
        settings_(read_settings(options.environment)),
        cache_folder_(options.cache_dir.empty() ? settings_.cache : options.cache_dir),
        cache_(cache_folder_, name_),
        transfer_(options.transfer),
        http_({.endpoint = settings_.endpoint,
               .token = settings_.token,
               .certificates = settings_.certificates}) {
    if (!transfer_.sleep) transfer_.sleep = SnapshotOptions::usual_transfer().sleep;
    if (!stays_inside(options.revision)) {
      throw ConfigError(
          fmt::format("revision '{}' of {}: no branch, tag or commit", options.revision, name_),
          "leave it out for main");
    }
  }

  fs::path run() {
    const auto cached = cached_snapshot();
    if (settings_.offline) return cached ? *cached : throw not_cached();
    if (cached && is_commit(options_.revision)) return *cached;
    try {
      const Listing listing = list(cached ? 0 : transfer_.retries);
      return fetch(listing);
    } catch (const ConnectionError& error) {
      if (!cached) throw;
      const std::string text = error.what();
      notice(fmt::format("{}: the hub cannot be reached; using the copy in the cache ({})", name_,
                         text.substr(0, text.find('\n'))));
      return *cached;
    }
  }

 private:
  std::optional<fs::path> cached_snapshot() const {
    const auto commit = cache_.commit_of(options_.revision);
    if (!commit) return std::nullopt;
    const fs::path folder = cache_.snapshot(*commit);
    std::error_code error;
    if (!fs::is_directory(folder, error)) return std::nullopt;
    return missing_files(folder, options_.wanted).empty() ? std::optional(folder) : std::nullopt;
  }

  DataError not_cached() const {
    const auto commit = cache_.commit_of(options_.revision);
    std::vector<std::string> lacking;
    std::error_code error;
    if (commit && fs::is_directory(cache_.snapshot(*commit), error)) {
      lacking = missing_files(cache_.snapshot(*commit), options_.wanted);
    } else {
      lacking = missing_files(std::vector<std::string>{}, options_.wanted);
    }
    return not_in_cache(place(), lacking);
  }

  Place place() const { return {name_, options_.revision, settings_, cache_folder_}; }

  void notice(const std::string& text) const {
    if (transfer_.progress != nullptr) *transfer_.progress << text << "\n" << std::flush;
  }

  std::string file_url(const std::string& revision, const std::string& file) const {
    return fmt::format("{}/{}/resolve/{}/{}", settings_.endpoint, name_, escaped(revision),
                       escape_path(file));
  }

  /// A revision is one segment of the address: its slashes are escaped too.
  static std::string escaped(const std::string& revision) {
    std::string text = escape_path(revision);
    for (std::size_t at = 0; (at = text.find('/', at)) != std::string::npos;) {
      text.replace(at, 1, "%2F");
    }
    return text;
  }

  Listing list(int retries) {
    TransferOptions patient = transfer_;
    patient.retries = retries;
    const std::string url = fmt::format("{}/api/models/{}/revision/{}", settings_.endpoint, name_,
                                        escaped(options_.revision));
    const Response answer = with_retries([&] { return http_.get(url); }, patient);
    if (answer.status == 404 && !answer.header("x-error-code")) return probe(patient);
    if (answer.status / 100 == 5) {
      throw ConnectionError(fmt::format("{}: the server answers {}", url, answer.status),
                            "try again later");
    }
    if (answer.status != 200) throw refusal(answer, place());
    const auto json = parse_json(answer.body, /*allow_exceptions=*/false);
    Listing listing;
    if (json.is_object() && json.contains("sha") && json["sha"].is_string()) {
      listing.commit = json["sha"].get<std::string>();
    }
    if (!is_commit(listing.commit) || !json.contains("siblings") || !json["siblings"].is_array()) {
      throw DataError(url + ": no list of a model's files", "check HF_ENDPOINT");
    }
    for (const auto& sibling : json["siblings"]) {
      if (sibling.is_object()) listing.files.push_back(sibling.value("rfilename", std::string()));
    }
    listing.resolved_as = listing.commit;
    return listing;
  }

  /// For mirrors that hand out files but have no listing: asks for each name in turn.
  Listing probe(const TransferOptions& transfer) {
    Listing listing;
    listing.resolved_as = options_.revision;
    Response last;
    const auto has = [&](const std::string& file) {
      last = with_retries([&] { return http_.head(file_url(options_.revision, file)); }, transfer);
      if (last.status / 100 > 3) return false;
      listing.commit = last.header("x-repo-commit").value_or("");
      listing.files.push_back(file);
      return true;
    };
    if (!has("config.json")) throw refusal(last, place());
    if (!is_commit(listing.commit)) {
      throw DataError(fmt::format("{}: {} does not say which commit it holds (X-Repo-Commit)",
                                  name_, settings_.endpoint),
                      "check HF_ENDPOINT: it is no model hub");
    }
    const std::string commit = listing.commit;
    bool weights = false;
    for (const std::string& file : options_.wanted.patterns) {
      if (file == "config.json" || file.find('*') != std::string::npos) continue;
      const bool is_weight =
          file.find(".safetensors") != std::string::npos || file.find(".bin") != std::string::npos;
      if (is_weight && weights) continue;
      if (has(file) && is_weight) weights = true;
    }
    listing.commit = commit;
    return listing;
  }

  fs::path fetch(const Listing& listing) {
    std::vector<std::string> chosen = select(listing.files, options_.wanted);
    if (const auto lacking = missing_files(chosen, options_.wanted); !lacking.empty()) {
      throw unusable(place(), lacking, listing.files);
    }
    for (const std::string& file : chosen) fetch_file(listing, file);
    fs::path folder = cache_.snapshot(listing.commit);
    for (const std::string& file : chosen) {
      if (!file.ends_with(".index.json")) continue;
      for (const std::string& shard : shards_of(folder / file)) fetch_file(listing, shard);
    }
    cache_.set_commit(options_.revision, listing.commit);
    return folder;
  }

  void fetch_file(const Listing& listing, const std::string& file) {
    if (!stays_inside(file)) {
      throw DataError(fmt::format("{}: lists '{}', a path outside of its folder", name_, file),
                      "this model cannot be trusted");
    }
    std::error_code error;
    if (fs::exists(cache_.snapshot(listing.commit) / file, error)) return;
    RemoteFile remote;
    remote.name = file;
    remote.url = file_url(listing.resolved_as, file);
    const Response answer = with_retries([&] { return http_.head(remote.url); }, transfer_);
    if (answer.status / 100 > 3) throw refusal(answer, place(), file);
    if (answer.header("x-repo-commit").value_or(listing.commit) != listing.commit) {
      throw DataError(name_ + ": changed on the hub while it was fetched", "fetch it again");
    }
    remote.etag = etag_of(answer);
    remote.size = size_of(answer);
    if (!stays_inside(remote.etag) || remote.etag.find('/') != std::string::npos) {
      throw DataError(remote.url + ": no usable ETag: what came could not be checked",
                      "check HF_ENDPOINT and the proxy, which may take it away");
    }
    fetch_blob(http_, remote, cache_.blob(remote.etag), cache_.lock(remote.etag), transfer_);
    cache_.link(listing.commit, file, remote.etag);
  }

  std::string name_;
  const SnapshotOptions& options_;
  Settings settings_;
  fs::path cache_folder_;
  ModelCache cache_;
  TransferOptions transfer_;
  Http http_;
};

}  // namespace

TransferOptions SnapshotOptions::usual_transfer() {
  TransferOptions transfer;
  transfer.sleep = [](std::chrono::milliseconds pause) {
    constexpr std::chrono::milliseconds kLook{100};
    for (; pause.count() > 0; pause -= kLook) {
      stop_if_requested();
      std::this_thread::sleep_for(std::min(pause, kLook));
    }
  };
  transfer.progress = &std::cerr;
  return transfer;
}

fs::path snapshot(const std::string& name_or_path, const SnapshotOptions& options) {
  std::error_code error;
  if (fs::is_directory(name_or_path, error)) return name_or_path;
  require_name(name_or_path);
  return Fetch(name_or_path, options).run();
}

}  // namespace polyphony::hub
