#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <polyphony/record/sqlite.h>
#include <polyphony/record/store.h>

namespace polyphony::record {

/// The store's connection and the statements it keeps prepared.
struct Store::Database {
  std::filesystem::path path;
  double patience = 10;  ///< seconds to wait for a lock
  sqlite3* handle = nullptr;
  std::unique_ptr<Statement> insert_metric, update_summary;

  ~Database();
  /// @throws IoError (see Store)
  void open(StoreMode mode);
  void execute(const std::string& sql) const;
  /// The first column of the first row; 0 where there is none.
  std::int64_t number(const std::string& sql) const;
  /// Work in one transaction that takes the write lock at once; undone where it throws. Part of the
  /// transaction where one is open.
  void transaction(const std::function<void()>& work) const;
  bool moved() const;
  void detach();
  /// Whether what is read is a state of the file that it no longer has.
  bool outdated() const;

 private:
  void connect(const std::string& name, int flags);
  void open_for_writing(StoreMode mode);
  void open_for_reading();
  void open_copy();
  void close();

  std::string state_;           ///< of the files that are read as they were; "" for a live store
  std::filesystem::path copy_;  ///< a directory with a copy that is read in the file's place
  void migrate() const;
  void fill_summaries_and_config() const;
};

}  // namespace polyphony::record
