#include <polyphony/record/store_journal.h>

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <set>
#include <system_error>

#include <fmt/format.h>

#include <polyphony/base/descriptor.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/notice.h>
#include <polyphony/record/batch_json.h>
#include <polyphony/record/store_database.h>

namespace polyphony::record {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "store-pending-";
constexpr std::string_view kSuffix = ".jsonl";

bool is_journal(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with(kPrefix) && name.ends_with(kSuffix);
}

std::string uid_of(const fs::path& journal) {
  const std::string name = journal.filename().string();
  return name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
}

/// The directory of pointers beside a store: files that are named by a run's uid and hold the path
/// of its journal.
fs::path pointers_of(const fs::path& store) { return store.string() + "-pending"; }

void remove_pointer(const fs::path& store, const std::string& uid) {
  std::error_code error;
  fs::remove(pointers_of(store) / uid, error);
  fs::remove(pointers_of(store), error);  // only where it is empty
}

/// Whole lines; what is torn or damaged is counted.
struct Journal {
  std::optional<JournalLine> run;
  std::vector<StoreBatch> batches;
  std::size_t left_out = 0;
};

Journal read_journal(const fs::path& path) {
  Journal journal;
  const std::string text = read_file(path);
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    auto line = parse_journal_line(text.substr(begin, end - begin));
    begin = end + 1;
    if (!line) {
      ++journal.left_out;
    } else if (line->run) {
      if (!journal.run) journal.run = std::move(line);
    } else {
      journal.batches.push_back(*std::move(line->batch));
    }
  }
  if (begin < text.size()) ++journal.left_out;
  return journal;
}

}  // namespace

std::string new_run_uid() {
  std::random_device system;
  std::uniform_int_distribution<std::uint32_t> bits;
  const auto high = bits(system), low = bits(system);
  return fmt::format("{:08x}{:08x}", high, low);
}

StoreJournal::StoreJournal(const fs::path& store, const RunInfo& info, double started)
    : store_(store),
      uid_(info.uid),
      file_(info.directory / fmt::format("{}{}{}", kPrefix, info.uid, kSuffix),
            AppendFile::Mode::kContinue) {
  flock(file_.descriptor(), LOCK_EX | LOCK_NB);
  if (file_.size() == 0) write(run_line(info, started));
  std::error_code error;
  if (!fs::is_directory(store_.parent_path(), error)) return;  // moved: not to be made anew
  try {
    write_file(pointers_of(store_) / uid_, fs::absolute(path()).string());
  } catch (const IoError&) {
    // The disk of the store may be what is full; the end of the run says where the file lies.
  }
}

void StoreJournal::write(const std::string& line) {
  file_.append(line);
  try {
    file_.flush();
  } catch (const IoError&) {
    file_.discard();
    throw;
  }
}

void StoreJournal::append(const StoreBatch& batch) { write(batch_line(batch)); }

void StoreJournal::remove() {
  std::error_code error;
  fs::remove(path(), error);
  remove_pointer(store_, uid_);
}

BroughtIn write_journal(Store& store, const fs::path& path) {
  const Journal journal = read_journal(path);
  if (!journal.run) {
    throw DataError(fmt::format("{}: it does not say which run it is of", path.string()),
                    "its first line is torn or damaged: what it holds can be read by hand, it is "
                    "JSON");
  }
  BroughtIn done{path, 0, journal.run->run->name, 0, journal.left_out, false};
  done.run = store.begin(*journal.run->run, journal.run->started);
  for (const StoreBatch& batch : journal.batches) {
    done.has_gap = done.has_gap || store.batches(done.run) < batch.first - 1;
    if (store.write(done.run, batch)) {
      done.values += static_cast<std::int64_t>(batch.metrics.size());
    }
  }
  return done;
}

std::optional<BroughtIn> bring_in(Store& store, const fs::path& journal) {
  const Descriptor file(::open(journal.c_str(), O_RDWR | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return std::nullopt;
  if (file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return std::nullopt;
  }
  BroughtIn done = write_journal(store, journal);
  std::error_code error;
  fs::remove(journal, error);
  remove_pointer(store.path(), uid_of(journal));
  return done;
}

std::vector<fs::path> find_journals_in(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (is_journal(entry.path())) found.push_back(entry.path());
  }
  return found;
}

std::vector<fs::path> find_journals(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return is_journal(path) && fs::exists(path, error) ? std::vector{path}
                                                       : std::vector<fs::path>{};
  }
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(
           path, fs::directory_options::skip_permission_denied, error)) {
    if (is_journal(entry.path()) && entry.is_regular_file(error)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<fs::path> waiting_journals(const fs::path& path) {
  std::set<fs::path> found;
  std::error_code error;
  for (const auto& pointer : fs::directory_iterator(pointers_of(path), error)) {
    const fs::path journal = read_file(pointer.path());
    if (fs::exists(journal, error)) {
      found.insert(journal);
    } else if (fs::exists(journal.parent_path(), error)) {  // else on a disk that is not there now
      remove_pointer(path, pointer.path().filename());
    }
  }
  if (!fs::exists(path, error)) return {found.begin(), found.end()};
  const Store store(path, StoreMode::kRead, 1);
  Statement running(store.database().handle, store.path(),
                    "SELECT directory, uid FROM runs WHERE state = 'running' AND uid <> ''");
  while (running.step()) {
    const fs::path journal =
        fs::path(running.text(0)) / fmt::format("{}{}{}", kPrefix, running.text(1), kSuffix);
    if (fs::exists(journal, error)) found.insert(journal);
  }
  return {found.begin(), found.end()};
}

std::string to_string(const BroughtIn& done) {
  std::string text = fmt::format("run {} {}: {} values from {}", done.run, done.name, done.values,
                                 done.path.string());
  if (done.left_out > 0) text += fmt::format(" ({} torn or damaged lines left out)", done.left_out);
  if (done.has_gap) text += "; a part of its record went to another store, or is lost";
  return text;
}

void bring_in_all(const fs::path& path, const std::vector<fs::path>& journals) {
  std::optional<Store> store;
  try {
    for (const fs::path& journal : journals) {
      if (!store) store.emplace(path, StoreMode::kCreate, 1);
      try {
        if (const auto done = bring_in(*store, journal)) note("brought in: {}", to_string(*done));
      } catch (const DataError& error) {
        warn("{}", error.what());
      }
    }
  } catch (const Error& error) {
    warn("records that wait for this store are not in yet: {}", error.what());
  }
}

void bring_in_waiting(const fs::path& path) {
  std::vector<fs::path> journals;
  try {
    journals = waiting_journals(path);
  } catch (const Error&) {
    return;  // whoever reads the store says what is wrong with it
  }
  bring_in_all(path, journals);
}

}  // namespace polyphony::record
