#include <polyphony/record/sqlite.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::record {

void fail_sqlite(sqlite3* db, int code, const std::filesystem::path& path) {
  const std::string reason = db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  const std::string what = fmt::format("{}: run store: {}", path.string(), reason);
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      throw IoError(what,
                    "the file is damaged or no run store: move it aside (with its -wal and -shm "
                    "files) and a new one is made, or name another with POLYPHONY_STORE");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw IoError(what, "another process holds the file for long; wait for it or end it");
    case SQLITE_FULL:
      throw IoError(what, "the disk is full: free some space");
    default:
      throw IoError(what,
                    "check that its directory exists, can be written to and is not full, or name "
                    "another file with POLYPHONY_STORE");
  }
}

}  // namespace polyphony::record
