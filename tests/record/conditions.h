#pragma once

#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sched.h>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include <polyphony/base/files.h>

// What a machine does to a run's files.

namespace polyphony::record {

/// Another program that holds a store's write lock.
class StoreHeld {
 public:
  explicit StoreHeld(const std::filesystem::path& store) {
    if (sqlite3_open(store.c_str(), &db_) != SQLITE_OK ||
        sqlite3_exec(db_, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr) != SQLITE_OK) {
      throw std::runtime_error("the store cannot be locked");
    }
  }
  ~StoreHeld() { sqlite3_close(db_); }
  StoreHeld(const StoreHeld&) = delete;
  StoreHeld& operator=(const StoreHeld&) = delete;

 private:
  sqlite3* db_ = nullptr;
};

/// While it lives no file grows beyond so many bytes: a full disk, for whoever has no disk to fill.
class FullFiles {
 public:
  explicit FullFiles(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);  // write(2) fails instead
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullFiles() { setrlimit(RLIMIT_FSIZE, &before_); }
  FullFiles(const FullFiles&) = delete;
  FullFiles& operator=(const FullFiles&) = delete;

 private:
  rlimit before_{};
};

/// A small disk of one's own, seen by this process alone.
class SmallDisk {
 public:
  SmallDisk(std::filesystem::path place, const std::string& size) : place_(std::move(place)) {
    std::filesystem::create_directories(place_);
    made_ = unshare(CLONE_NEWNS) == 0 &&
            mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
            mount("tmpfs", place_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (made_) umount2(place_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  /// Whether this process may mount one.
  bool made() const { return made_; }
  /// Takes all that is free.
  void fill() const {
    std::ofstream out(place_ / "filler", std::ios::binary);
    const std::string block(4096, 'x');
    while (out.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
    out.clear();
    while (out.put('x').flush()) {
    }
  }
  void free() const { std::filesystem::remove(place_ / "filler"); }

 private:
  std::filesystem::path place_;
  bool made_ = false;
};

}  // namespace polyphony::record
