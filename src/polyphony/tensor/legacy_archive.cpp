#include <polyphony/tensor/legacy_archive.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/pickle.h>

namespace polyphony::tensor {
namespace {

// The pickle of the magic number 0x1950a86a20f9469cfc6c, protocol 2.
constexpr std::string_view kMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
constexpr std::int64_t kProtocol = 1001;
// What stands before the storages is names and shapes.
constexpr std::size_t kMostPickled = std::size_t{16} << 20;

/// The parts of such a file, in their order: magic number, protocol, facts of the machine, the
/// object, the keys of its storages, the storages.
class LegacyArchive {
 public:
  explicit LegacyArchive(const FileReader& file)
      : file_(file),
        head_(file.text(kMagic.size(), kMostPickled)),
        left_(head_),
        source_(file.path().string()) {}

  Value read() {
    const Value protocol = next();
    if (protocol.kind() != Value::Kind::kInt || protocol.as_int() != kProtocol) damaged();
    const Value machine = next();
    if (machine.kind() != Value::Kind::kDict) damaged();
    const Value* little = machine.find("little_endian");
    if (little != nullptr && little->kind() == Value::Kind::kBool && !little->as_bool()) damaged();
    Value object = next();
    const Value keys = next();
    if (keys.kind() != Value::Kind::kList) damaged();
    std::uint64_t at = kMagic.size() + head_.size() - left_.size();
    for (const Value& key : keys.items()) at = fill(at, key);
    if (filled_ != storages_.size()) damaged();
    return object;
  }

 private:
  [[noreturn]] void damaged() const {
    throw DataError(source_ + ": no PyTorch checkpoint, or a damaged one",
                    "take another copy or an earlier checkpoint");
  }

  Value next() {
    return unpickle_next(
        left_, [this](const StorageRef& ref) { return storage(ref); }, source_);
  }

  /// Memory that is filled once its place in the file is known.
  at::Tensor storage(const StorageRef& ref) {
    const auto most = static_cast<std::int64_t>(file_.size() / c10::elementSize(ref.type));
    if (ref.elements > most) damaged();
    at::Tensor& made = storages_[ref.key];
    made = at::empty({ref.elements}, ref.type);
    return made;
  }

  /// Reads the storage at a place. @return the place behind it
  std::uint64_t fill(std::uint64_t at, const Value& key) {
    std::int64_t elements = 0;
    if (file_.read(at, &elements, sizeof elements) < sizeof elements) damaged();
    const auto found =
        key.kind() == Value::Kind::kString ? storages_.find(key.as_string()) : storages_.end();
    if (found == storages_.end() || found->second.numel() != elements) damaged();
    const std::size_t size = found->second.nbytes();
    if (size > 0 && file_.read(at + sizeof elements, found->second.data_ptr(), size) < size) {
      damaged();
    }
    ++filled_;
    return at + sizeof elements + size;
  }

  const FileReader& file_;
  const std::string head_;
  std::string_view left_;  ///< of the head, what is not read yet
  const std::string source_;
  std::map<std::string, at::Tensor> storages_;
  std::size_t filled_ = 0;
};

}  // namespace

bool is_legacy_archive(const FileReader& file) { return file.text(0, kMagic.size()) == kMagic; }

Value load_legacy_archive(const FileReader& file) { return LegacyArchive(file).read(); }

}  // namespace polyphony::tensor
