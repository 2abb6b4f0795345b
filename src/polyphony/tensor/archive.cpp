#include <polyphony/tensor/archive.h>

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <string_view>

#include <ATen/ops/from_blob.h>
#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <fmt/format.h>

#include <polyphony/base/checksum.h>
#include <polyphony/base/error.h>
#include <polyphony/base/file_reader.h>
#include <polyphony/base/files.h>
#include <polyphony/tensor/legacy_archive.h>
#include <polyphony/tensor/pickle.h>

namespace polyphony::tensor {
namespace {

/// A file, for LibTorch's zip reader.
class Bytes : public caffe2::serialize::ReadAdapterInterface {
 public:
  /// @param file  must outlive this
  explicit Bytes(const FileReader& file) : file_(file) {}
  std::size_t size() const override { return file_.size(); }
  std::size_t read(std::uint64_t at, void* into, std::size_t count, const char*) const override {
    return file_.read(at, into, count);
  }

 private:
  const FileReader& file_;
};

[[noreturn]] void damaged(const std::filesystem::path& path, const std::string& what) {
  throw DataError(path.string() + ": " + what, "take another copy or an earlier checkpoint");
}

/// The check sums of a zip file's records, by full name. LibTorch's reader does not check them.
class Directory {
 public:
  /// @throws DataError where the file has no zip directory, or a damaged one
  explicit Directory(const FileReader& file) : path_(file.path()) {
    constexpr std::size_t kEntrySize = 46;
    std::uint64_t count = find(file);
    for (std::size_t at = 0; count > 0; --count) {
      if (number(at, 4) != 0x02014b50 || kEntrySize > bytes_.size() - at) fail();
      const std::uint64_t name_size = number(at + 28, 2);
      if (name_size > bytes_.size() - at - kEntrySize) fail();
      const std::string name = bytes_.substr(at + kEntrySize, name_size);
      if (!sums_.emplace(name, static_cast<std::uint32_t>(number(at + 16, 4))).second) fail();
      if (prefix_.empty()) prefix_ = name.substr(0, name.find('/') + 1);
      at += kEntrySize + name_size + number(at + 30, 2) + number(at + 32, 2);
    }
  }

  /// @throws DataError where the record's bytes are not those that were written
  void check(const std::string& record, const void* data, std::size_t size) const {
    const auto found = sums_.find(prefix_ + record);
    if (found == sums_.end()) fail();
    if (found->second == crc32({static_cast<const char*>(data), size})) return;
    damaged(path_, "the record '" + record + "' is damaged: its check sum differs");
  }

 private:
  [[noreturn]] void fail() const { damaged(path_, "no PyTorch checkpoint, or a damaged one"); }

  std::uint64_t number(std::uint64_t at, std::size_t count) const {
    if (at > bytes_.size() || count > bytes_.size() - at) fail();
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes_[at + i])) << (8 * i);
    }
    return value;
  }

  /// Reads the directory, and says how many entries it has; zip64's where there is one.
  std::uint64_t find(const FileReader& file) {
    constexpr std::size_t kLocatorSize = 20;
    constexpr std::uint64_t kTail = (1 << 16) + 128;  // the longest comment, and what ends a zip
    const std::uint64_t tail_at = file.size() - std::min(file.size(), kTail);
    bytes_ = file.text(tail_at, kTail);
    const std::size_t end = bytes_.rfind(std::string_view("PK\x05\x06", 4));
    if (end == std::string::npos) fail();
    std::uint64_t begin = number(end + 16, 4);
    std::uint64_t size = number(end + 12, 4);
    std::uint64_t count = number(end + 10, 2);
    if (end >= kLocatorSize && number(end - kLocatorSize, 4) == 0x07064b50) {
      const std::uint64_t end64 = number(end - kLocatorSize + 8, 8) - tail_at;
      if (number(end64, 4) != 0x06064b50) fail();
      begin = number(end64 + 48, 8);
      size = number(end64 + 40, 8);
      count = number(end64 + 32, 8);
    }
    if (begin > file.size() || size > file.size() - begin) fail();
    bytes_ = file.text(begin, size);
    return count;
  }

  std::string bytes_;  ///< what is looked into
  const std::filesystem::path& path_;
  std::map<std::string, std::uint32_t> sums_;
  std::string prefix_;  ///< the folder of all records, with its slash
};

/// Where LibTorch's zip writer writes to, part by part.
class Output {
 public:
  explicit Output(const std::filesystem::path& path) : file_(path) {}

  /// Never throws: the zip writer cannot be left early, as its destructor writes the end. After an
  /// error nothing more is written.
  void write(std::string_view bytes) noexcept {
    if (error_) return;
    try {
      file_.write(bytes);
      fingerprinter_.add(bytes);
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  /// Puts the file in place. @throws what went wrong before, too
  Fingerprint finish() {
    if (error_) std::rethrow_exception(error_);
    file_.finish();
    return fingerprinter_.fingerprint();
  }

 private:
  FileWriter file_;
  Fingerprinter fingerprinter_;
  std::exception_ptr error_;
};

/// A record's memory as a tensor of `elements`.
at::Tensor adopted(at::DataPtr record, std::int64_t elements, at::ScalarType type) {
  const auto kept = std::make_shared<at::DataPtr>(std::move(record));
  return at::from_blob(
      kept->get(), {elements}, [kept](void*) {}, at::TensorOptions(type));
}

}  // namespace

Fingerprint save_archive(const std::filesystem::path& path, const Value& value) {
  std::vector<at::Tensor> storages;
  const std::string pickled = pickle(value, storages);
  Output output(path);
  {
    caffe2::serialize::PyTorchStreamWriter writer([&](const void* data, std::size_t count) {
      output.write({static_cast<const char*>(data), count});
      return count;
    });
    writer.writeRecord("data.pkl", pickled.data(), pickled.size());
    for (std::size_t i = 0; i < storages.size(); ++i) {
      writer.writeRecord("data/" + std::to_string(i), storages[i].data_ptr(), storages[i].nbytes());
    }
    writer.writeEndOfFile();
  }
  return output.finish();
}

Value load_archive(const std::filesystem::path& path) {
  const FileReader file(path);
  if (is_legacy_archive(file)) return load_legacy_archive(file);
  const Directory directory(file);
  try {
    caffe2::serialize::PyTorchStreamReader reader(std::make_shared<Bytes>(file));
    const auto record = [&](const std::string& name) {
      auto found = reader.getRecord(name);
      directory.check(name, std::get<0>(found).get(), std::get<1>(found));
      return found;
    };
    const auto [data, size] = record("data.pkl");
    const std::string pickled(static_cast<const char*>(data.get()), size);
    const StorageLoader load = [&](const StorageRef& ref) {
      auto [storage, count] = record("data/" + ref.key);
      const auto width = static_cast<std::int64_t>(c10::elementSize(ref.type));
      if (ref.elements > static_cast<std::int64_t>(count) / width) {
        damaged(path, "a tensor is shorter than it says");
      }
      return adopted(std::move(storage), ref.elements, ref.type);
    };
    return unpickle(pickled, load, path.string());
  } catch (const c10::Error&) {
    damaged(path, "no PyTorch checkpoint, or a damaged one");
  }
}

}  // namespace polyphony::tensor
