#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include <polyphony/base/fingerprint.h>
#include <polyphony/tensor/value.h>

namespace polyphony::train {

/// The files that a run has written below one directory: those that it, or a run that goes on with
/// it there, may delete and replace. What lies elsewhere, is a symbolic link, is not listed or is
/// no longer what was written belongs to somebody else.
class OwnedFiles {
 public:
  /// @param directory  absolute; it need not be there yet
  void set_directory(std::filesystem::path directory) { directory_ = std::move(directory); }
  const std::filesystem::path& directory() const { return directory_; }

  /// A file that was just written.
  void add(const std::filesystem::path& file, const Fingerprint& written);
  /// What was written there, if that is known.
  std::optional<Fingerprint> written(const std::filesystem::path& file) const;
  /// Why the file may be neither deleted nor replaced; "" if it may, or if there is none.
  std::string objection(const std::filesystem::path& file) const;
  /// Deletes a file, or says in a line why it is left.
  void remove(const std::filesystem::path& file);

  /// The same of a folder: anything in it that may not be deleted keeps it whole.
  std::string folder_objection(const std::filesystem::path& folder) const;
  void remove_folder(const std::filesystem::path& folder);

  /// The list for a checkpoint, and from one that lies in the same directory. The names are
  /// relative, so that a directory can be moved.
  tensor::Value state() const;
  void load_state(const tensor::Value& state);

 private:
  /// What the system says of a file: if it is the same, the bytes need not be read again.
  struct Stamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t modified = 0;
    std::int64_t changed = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct Entry {
    Fingerprint written;
    std::optional<Stamp> stamp;  ///< of files that this process has written
  };
  static Stamp stamp_of(const std::filesystem::path& file);
  /// The name in the list; nullopt for a file that does not lie below the directory.
  std::optional<std::string> name_of(const std::filesystem::path& file) const;

  std::filesystem::path directory_;
  std::map<std::string, Entry> entries_;
};

/// Fingerprints by name, as OwnedFiles::state keeps them.
std::map<std::string, Fingerprint> listed_files(const tensor::Value& state);

}  // namespace polyphony::train
