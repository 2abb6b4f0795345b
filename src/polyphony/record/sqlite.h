#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <sqlite3.h>

namespace polyphony::record {

/// @param db    whose last error it is; a null pointer where there is none yet
/// @param path  the store's file
/// @throws IoError always, with the remedy that fits the code
[[noreturn]] void fail_sqlite(sqlite3* db, int code, const std::filesystem::path& path);

/// A prepared statement; one use binds from the first parameter on.
class Statement {
 public:
  Statement(sqlite3* db, const std::filesystem::path& path, const std::string& sql)
      : db_(db), path_(path) {
    check(sqlite3_prepare_v3(db, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr));
  }
  ~Statement() { sqlite3_finalize(handle_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(const std::string& text) {
    check(sqlite3_bind_text64(handle_, ++bound_, text.data(), text.size(), SQLITE_TRANSIENT,
                              SQLITE_UTF8));
    return *this;
  }
  Statement& bind(std::int64_t value) {
    check(sqlite3_bind_int64(handle_, ++bound_, value));
    return *this;
  }
  Statement& bind(double value) {
    check(sqlite3_bind_double(handle_, ++bound_, value));
    return *this;
  }
  template <typename T>
  Statement& bind(const std::optional<T>& value) {
    if (value) return bind(*value);
    check(sqlite3_bind_null(handle_, ++bound_));
    return *this;
  }

  /// True while there is a row.
  bool step() {
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) {
      sqlite3_reset(handle_);
      fail_sqlite(db_, code, path_);
    }
    return false;
  }
  /// Runs a statement that answers nothing, ready for the next use.
  void run() {
    step();
    reset();
  }
  void reset() {
    sqlite3_reset(handle_);
    bound_ = 0;
  }

  bool is_null(int column) { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
  std::int64_t integer(int column) { return sqlite3_column_int64(handle_, column); }
  double real(int column) { return sqlite3_column_double(handle_, column); }
  std::string text(int column) {
    const auto* bytes = sqlite3_column_text(handle_, column);
    if (bytes == nullptr) return {};
    const int size = sqlite3_column_bytes(handle_, column);
    return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)};
  }

 private:
  void check(int code) {
    if (code != SQLITE_OK) fail_sqlite(db_, code, path_);
  }
  sqlite3* db_;
  const std::filesystem::path& path_;
  sqlite3_stmt* handle_ = nullptr;
  int bound_ = 0;
};

}  // namespace polyphony::record
