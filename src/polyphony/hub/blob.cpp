#include <polyphony/hub/blob.h>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <ostream>
#include <string_view>
#include <system_error>
#include <thread>

#include <fmt/format.h>

#include <polyphony/base/descriptor.h>
#include <polyphony/base/digest.h>
#include <polyphony/base/files.h>
#include <polyphony/base/signals.h>
#include <polyphony/base/terminal/progress.h>

namespace polyphony::hub {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kLockPoll{100};

[[noreturn]] void fail_io(const fs::path& path, const std::string& what,
                          const std::string& remedy) {
  throw IoError(fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)), remedy);
}

/// The advisory lock that huggingface_hub takes too; released with the object.
class FileLock {
 public:
  FileLock(const fs::path& path, const std::string& what, std::ostream* notice)
      : file_(open_lock(path)) {
    bool told = false;
    while (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) fail_io(path, "cannot lock", "put the cache on a local disk");
      stop_if_requested();
      if (!told && notice != nullptr) {
        *notice << what << ": another process downloads it; waiting\n" << std::flush;
      }
      told = true;
      std::this_thread::sleep_for(kLockPoll);
    }
  }

 private:
  static int open_lock(const fs::path& path) {
    make_directory(path.parent_path());
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) fail_io(path, "cannot create the lock", "check that the cache can be written to");
    return fd;
  }

  Descriptor file_;
};

std::uint64_t size_of(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

void require_space(const fs::path& folder, std::uint64_t bytes, const std::string& name) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error || space.available >= bytes) return;
  throw IoError(fmt::format("{}: {} needs {} MB, {} MB are free", folder.string(), name,
                            bytes >> 20, space.available >> 20),
                "free space there, or set HF_HOME to a folder on another disk");
}

milliseconds pause_before(int attempt) {
  return milliseconds(std::min(30'000, 1'000 << std::min(attempt, 5)));
}

bool overloaded(long status) { return status == 429 || status / 100 == 5; }

/// Megabytes of one file on a line.
class Meter {
 public:
  Meter(const RemoteFile& file, std::ostream* out) {
    if (out == nullptr) return;
    const auto total = static_cast<std::int64_t>(file.size.value_or(0) >> 20);
    progress_ = std::make_unique<Progress>(file.name + " (MB)", total, *out, terminal_info(2));
    progress_->set_unit("MB");
  }
  void update(std::uint64_t bytes) {
    if (progress_) progress_->update(static_cast<std::int64_t>(bytes >> 20));
  }
  void finish() {
    if (progress_) progress_->finish();
  }

 private:
  std::unique_ptr<Progress> progress_;
};

/// BLOB.incomplete while it grows. The caller holds the lock.
class Partial {
 public:
  explicit Partial(fs::path path) : path_(std::move(path)) {}

  std::uint64_t size() const { return size_of(path_); }
  const fs::path& path() const { return path_; }
  void remove() const {
    std::error_code error;
    fs::remove(path_, error);
  }

  bool open() const { return file_.has_value(); }
  /// Appends, or begins anew where the server sent the whole though a part was asked for.
  void begin(const Response& answer, std::uint64_t offset) {
    const bool whole = answer.status != 206;
    const std::string range = answer.header("content-range").value_or("");
    if (!whole && !range.starts_with(fmt::format("bytes {}-", offset))) {
      throw ConnectionError(
          fmt::format("asked for bytes from {} on, the server sent '{}'", offset, range));
    }
    const int mode = O_WRONLY | O_CREAT | O_CLOEXEC | (whole ? O_TRUNC : O_APPEND);
    file_.emplace(::open(path_.c_str(), mode, 0644));
    written_ = whole ? 0 : offset;
  }
  /// @return bytes of the file now
  std::uint64_t write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(file_->get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_io(path_, "cannot write", "free space on the disk, or set HF_HOME");
      bytes.remove_prefix(static_cast<std::size_t>(n));
      written_ += static_cast<std::uint64_t>(n);
    }
    return written_;
  }
  void close() { file_.reset(); }

 private:
  fs::path path_;
  std::optional<Descriptor> file_;
  std::uint64_t written_ = 0;
};

/// One request from where the partial file ends.
Response append(Http& http, const RemoteFile& file, Partial& partial, Meter& meter) {
  const std::uint64_t offset = partial.size();
  partial.close();
  Response answer =
      http.download(file.url, offset, [&](const Response& head, std::string_view bytes) {
        if (!partial.open()) partial.begin(head, offset);
        meter.update(partial.write(bytes));
      });
  if (answer.status == 200 && !partial.open()) partial.begin(answer, 0);  // an empty file
  partial.close();
  return answer;
}

/// Did the server send all that it announced? (A cut is an error of the connection then.)
bool announced_length(const Response& answer) {
  return answer.header("content-length") || answer.header("transfer-encoding");
}

/// Why an answer did not complete the file; "" where it did.
/// @throws DataError where the server has another size than the hub says, twice
std::string shortfall(const Response& answer, const RemoteFile& file, const Partial& partial,
                      int& wrong_sizes) {
  if (answer.status == 416) {
    partial.remove();
    return "the server has no such range";
  }
  if (answer.status / 100 != 2) return fmt::format("the server answers {}", answer.status);
  const std::uint64_t size = partial.size();
  if (!file.size || size == *file.size) return {};
  if (announced_length(answer) || size > *file.size) {
    partial.remove();
    if (++wrong_sizes > 1) {
      throw DataError(fmt::format("{}: wrong size: it has {} bytes, the hub says {}", file.name,
                                  size, *file.size),
                      "what came is thrown away. Try again, and check HF_ENDPOINT and the proxy");
    }
  }
  return fmt::format("{} of {} bytes came", size, *file.size);
}

/// Brings the partial file to its full size.
void complete(Http& http, const RemoteFile& file, Partial& partial,
              const TransferOptions& options) {
  Meter meter(file, options.progress);
  int wrong_sizes = 0;
  std::uint64_t most = partial.size();
  for (int failures = 0;;) {
    if (file.size && partial.size() > *file.size) partial.remove();
    if (file.size && *file.size > 0 && partial.size() == *file.size) break;
    std::string reason;
    try {
      const Response answer = append(http, file, partial, meter);
      reason = shortfall(answer, file, partial, wrong_sizes);
      if (reason.empty()) break;
      if (answer.status / 100 == 4 && !overloaded(answer.status) && answer.status != 416) {
        failures = options.retries;  // it will not change its mind
      }
    } catch (const ConnectionError& error) {
      reason = error.what();
      reason = reason.substr(0, reason.find('\n'));
    }
    failures = partial.size() > most ? 0 : failures + 1;
    most = std::max(most, partial.size());
    if (failures > options.retries) {
      throw ConnectionError(
          fmt::format("{}: the download stops at {} bytes: {}", file.name, partial.size(), reason),
          "what has come is kept: the same command goes on from there");
    }
    options.sleep(pause_before(failures));
  }
  meter.update(partial.size());
  meter.finish();
}

/// Git's name of a file: the SHA-1 of its size and its content.
std::string git_id(const fs::path& path) {
  Digest digest(DigestKind::kSha1);
  digest.update(fmt::format("blob {}", size_of(path)) + '\0');
  std::ifstream stream(path, std::ios::binary);
  std::string block(1 << 20, '\0');
  while (stream.read(block.data(), static_cast<std::streamsize>(block.size())) ||
         stream.gcount() > 0) {
    digest.update(std::string_view(block).substr(0, static_cast<std::size_t>(stream.gcount())));
  }
  return digest.hex();
}

/// The hash that is not the etag's; empty where all is well or nothing can be checked.
std::string wrong_hash(const fs::path& path, const std::string& etag) {
  if (etag.find_first_not_of("0123456789abcdef") != std::string::npos) return {};
  if (etag.size() == 64) {
    const std::string sha256 = file_digest(DigestKind::kSha256, path);
    return sha256 == etag ? "" : sha256;
  }
  if (etag.size() == 40) {
    const std::string id = git_id(path);
    return id == etag || file_digest(DigestKind::kSha1, path) == etag ? "" : id;
  }
  return {};
}

void put_in_place(const fs::path& partial, const fs::path& blob) {
  const Descriptor file(::open(partial.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || ::fsync(file.get()) != 0) {
    fail_io(partial, "cannot flush", "free space on the disk");
  }
  if (::rename(partial.c_str(), blob.c_str()) != 0) {
    fail_io(blob, "cannot put the file in place", "check that the cache can be written to");
  }
}

}  // namespace

Response with_retries(const std::function<Response()>& request, const TransferOptions& options) {
  for (int failures = 0;; ++failures) {
    try {
      Response answer = request();
      if (!overloaded(answer.status) || failures >= options.retries) return answer;
    } catch (const ConnectionError&) {
      if (failures >= options.retries) throw;
    }
    options.sleep(pause_before(failures));
  }
}

void fetch_blob(Http& http, const RemoteFile& file, const fs::path& blob, const fs::path& lock,
                const TransferOptions& options) {
  const auto whole = [&] {
    std::error_code error;
    return fs::exists(blob, error) && (!file.size || size_of(blob) == *file.size);
  };
  if (whole()) return;
  make_directory(blob.parent_path());
  const FileLock held(lock, file.name, options.progress);
  if (whole()) return;
  Partial partial(blob.string() + ".incomplete");
  if (file.size) {
    require_space(blob.parent_path(), *file.size - std::min(*file.size, partial.size()), file.name);
  }
  // A part that an older file left, or a byte gone wrong on the way: once more from the beginning.
  for (int tries = 0;; ++tries) {
    complete(http, file, partial, options);
    const std::string wrong = wrong_hash(partial.path(), file.etag);
    if (wrong.empty()) break;
    partial.remove();
    if (tries > 0) {
      throw DataError(
          fmt::format("{}: wrong hash: it has {}, the hub says {}", file.name, wrong, file.etag),
          "the download is damaged or not what the hub holds; it is thrown away. Try again, and "
          "check HF_ENDPOINT and the proxy");
    }
  }
  put_in_place(partial.path(), blob);
}

}  // namespace polyphony::hub
