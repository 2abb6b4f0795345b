#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

struct sqlite3;
struct sqlite3_stmt;

namespace polyphony::record {

/// @throws IoError naming the file, SQLite's reason and what to do about it
[[noreturn]] void fail_sqlite(sqlite3* db, int code, const std::filesystem::path& path);

/// A prepared statement; one use binds from the first parameter on. Borrows connection and path.
class Statement {
 public:
  Statement(sqlite3* db, const std::filesystem::path& path, const std::string& sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(const std::string& text);
  Statement& bind(std::int64_t value);
  /// NaN becomes NULL: SQLite has none.
  Statement& bind(double value);
  template <typename T>
  Statement& bind(const std::optional<T>& value) {
    return value ? bind(*value) : bind_null();
  }
  Statement& bind_null();

  /// True while there is a row.
  bool step();
  /// Runs a statement that answers nothing, ready for the next use.
  void run();
  void reset();

  bool is_null(int column);
  std::int64_t integer(int column);
  double real(int column);
  /// NaN for NULL.
  double real_or_nan(int column);
  std::optional<double> optional_real(int column);
  std::string text(int column);

 private:
  void check(int code);

  sqlite3* db_;
  const std::filesystem::path& path_;
  sqlite3_stmt* handle_ = nullptr;
  int bound_ = 0;
};

}  // namespace polyphony::record
