#include <polyphony/record/sqlite.h>

#include <limits>

#include <fmt/format.h>
#include <sqlite3.h>

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

Statement::Statement(sqlite3* db, const std::filesystem::path& path, const std::string& sql)
    : db_(db), path_(path) {
  check(sqlite3_prepare_v3(db, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr));
}
Statement::~Statement() { sqlite3_finalize(handle_); }

Statement& Statement::bind(const std::string& text) {
  check(sqlite3_bind_text64(handle_, ++bound_, text.data(), text.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8));
  return *this;
}
Statement& Statement::bind(std::int64_t value) {
  check(sqlite3_bind_int64(handle_, ++bound_, value));
  return *this;
}
Statement& Statement::bind(double value) {
  check(sqlite3_bind_double(handle_, ++bound_, value));
  return *this;
}
Statement& Statement::bind_null() {
  check(sqlite3_bind_null(handle_, ++bound_));
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    reset();
    fail_sqlite(db_, code, path_);
  }
  return false;
}
void Statement::run() {
  step();
  reset();
}
void Statement::reset() {
  sqlite3_reset(handle_);
  bound_ = 0;
}

bool Statement::is_null(int column) { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
std::int64_t Statement::integer(int column) { return sqlite3_column_int64(handle_, column); }
double Statement::real(int column) { return sqlite3_column_double(handle_, column); }
double Statement::real_or_nan(int column) {
  return is_null(column) ? std::numeric_limits<double>::quiet_NaN() : real(column);
}
std::optional<double> Statement::optional_real(int column) {
  return is_null(column) ? std::nullopt : std::optional(real(column));
}
std::string Statement::text(int column) {
  const auto* bytes = sqlite3_column_text(handle_, column);
  if (bytes == nullptr) return {};
  const int size = sqlite3_column_bytes(handle_, column);
  return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

void Statement::check(int code) {
  if (code != SQLITE_OK) fail_sqlite(db_, code, path_);
}

}  // namespace polyphony::record
