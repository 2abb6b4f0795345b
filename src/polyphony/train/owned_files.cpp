#include <polyphony/train/owned_files.h>

#include <sys/stat.h>

#include <charconv>

#include <fmt/format.h>

#include <polyphony/base/directory.h>
#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>

namespace polyphony::train {
namespace fs = std::filesystem;
using tensor::Value;

OwnedFiles::Stamp OwnedFiles::stamp_of(const fs::path& file) {
  constexpr std::int64_t kNanoseconds = 1'000'000'000;
  struct stat status {};
  if (::lstat(file.c_str(), &status) != 0) return {};
  return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
          status.st_mtim.tv_sec * kNanoseconds + status.st_mtim.tv_nsec,
          status.st_ctim.tv_sec * kNanoseconds + status.st_ctim.tv_nsec};
}

std::optional<std::string> OwnedFiles::name_of(const fs::path& file) const {
  const fs::path name = (absolute_directory(file.parent_path()) / file.filename())
                            .lexically_relative(absolute_directory(directory_));
  if (name.empty() || *name.begin() == ".." || name == ".") return std::nullopt;
  return name.string();
}

void OwnedFiles::add(const fs::path& file, const Fingerprint& written) {
  if (const auto name = name_of(file)) entries_[*name] = {written, stamp_of(file)};
}

std::optional<Fingerprint> OwnedFiles::written(const fs::path& file) const {
  const auto name = name_of(file);
  const auto found = name ? entries_.find(*name) : entries_.end();
  return found == entries_.end() ? std::nullopt : std::optional(found->second.written);
}

std::string OwnedFiles::objection(const fs::path& file) const {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(file, error);
  if (status.type() == fs::file_type::not_found) return "";
  const auto name = name_of(file);
  if (!name) return fmt::format("it lies outside this run's {}", directory_.string());
  if (status.type() == fs::file_type::symlink) return "it is a symbolic link";
  if (status.type() != fs::file_type::regular) return "it is no plain file";
  const auto found = entries_.find(*name);
  if (found == entries_.end()) return "this run has not written it";
  const Stamp now = stamp_of(file);
  if (found->second.stamp == now) return "";
  const std::string changed = "it is not what this run has written there";
  if (found->second.written.size != now.size) return changed;
  try {
    return file_fingerprint(file) == found->second.written ? "" : changed;
  } catch (const IoError& unreadable) {
    return unreadable.what();
  }
}

void OwnedFiles::remove(const fs::path& file) {
  if (const std::string why = objection(file); !why.empty()) {
    inform("left: {}: {}", file.string(), why);
    return;
  }
  std::error_code error;
  fs::remove(file, error);
  if (error) {
    warn("{}: cannot be deleted: {}", file.string(), error.message());
    return;
  }
  if (const auto name = name_of(file)) entries_.erase(*name);
}

std::string OwnedFiles::folder_objection(const fs::path& folder) const {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(folder, error);
  if (status.type() == fs::file_type::not_found) return "";
  if (status.type() != fs::file_type::directory) return "it is no folder";
  bool empty = true;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (entry.is_directory() && !entry.is_symlink()) continue;
    empty = false;
    if (const std::string why = objection(entry.path()); !why.empty()) {
      return entry.path().filename().string() + ": " + why;
    }
  }
  return empty ? "this run has written nothing in it" : "";
}

void OwnedFiles::remove_folder(const fs::path& folder) {
  if (const std::string why = folder_objection(folder); !why.empty()) {
    inform("left: {}: {}", folder.string(), why);
    return;
  }
  std::error_code error;
  if (const auto name = name_of(folder)) {
    std::erase_if(entries_,
                  [&](const auto& entry) { return entry.first.starts_with(*name + "/"); });
  }
  fs::remove_all(folder, error);
}

Value OwnedFiles::state() const {
  Value list = Value::dict();
  for (const auto& [name, entry] : entries_) {
    Value file = Value::dict();
    file.set("size", Value(static_cast<std::int64_t>(entry.written.size)));
    file.set("xxh64", Value(fmt::format("{:016x}", entry.written.digest)));
    list.set(name, std::move(file));
  }
  return list;
}

void OwnedFiles::load_state(const Value& state) {
  for (const auto& [name, written] : listed_files(state)) {
    entries_[name] = {written, std::nullopt};
  }
}

std::map<std::string, Fingerprint> listed_files(const Value& state) {
  std::map<std::string, Fingerprint> files;
  for (const auto& [name, file] : state.entries()) {
    const std::string& digits = file.at("xxh64").as_string();
    Fingerprint& written = files[name.as_string()];
    written.size = static_cast<std::uint64_t>(file.at("size").as_int());
    std::from_chars(digits.data(), digits.data() + digits.size(), written.digest, 16);
  }
  return files;
}

}  // namespace polyphony::train
