#include <polyphony/tensor/archive.h>

#include <cstring>

#include <ATen/ops/empty.h>
#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/tensor/pickle.h>

namespace polyphony::tensor {
namespace {

/// A file's bytes in memory, for LibTorch's zip reader.
class Bytes : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}
  std::size_t size() const override { return bytes_.size(); }
  std::size_t read(std::uint64_t at, void* into, std::size_t count, const char*) const override {
    if (at >= bytes_.size()) return 0;
    const std::size_t n = std::min<std::size_t>(count, bytes_.size() - at);
    std::memcpy(into, bytes_.data() + at, n);
    return n;
  }

 private:
  std::string bytes_;
};

}  // namespace

void save_archive(const std::filesystem::path& path, const Value& value) {
  std::string bytes;
  {
    caffe2::serialize::PyTorchStreamWriter writer([&](const void* data, std::size_t count) {
      bytes.append(static_cast<const char*>(data), count);
      return count;
    });
    std::vector<at::Tensor> storages;
    const std::string pickled = pickle(value, storages);
    writer.writeRecord("data.pkl", pickled.data(), pickled.size());
    for (std::size_t i = 0; i < storages.size(); ++i) {
      writer.writeRecord("data/" + std::to_string(i), storages[i].data_ptr(), storages[i].nbytes());
    }
    writer.writeEndOfFile();
  }
  write_file(path, bytes);
}

Value load_archive(const std::filesystem::path& path) {
  std::string bytes = read_file(path);
  const std::size_t file_size = bytes.size();
  try {
    caffe2::serialize::PyTorchStreamReader reader(std::make_shared<Bytes>(std::move(bytes)));
    const auto record = [&](const std::string& name) { return reader.getRecord(name); };
    const auto [data, size] = record("data.pkl");
    const std::string pickled(static_cast<const char*>(data.get()), size);
    const StorageLoader load = [&](const StorageRef& ref) {
      const auto [storage, count] = record("data/" + ref.key);
      const auto width = static_cast<std::int64_t>(c10::elementSize(ref.type));
      if (ref.elements > static_cast<std::int64_t>(file_size) / width ||
          static_cast<std::int64_t>(count) < ref.elements * width) {
        throw DataError(path.string() + ": a tensor is shorter than it says",
                        "take another copy or an earlier checkpoint");
      }
      at::Tensor tensor = at::empty({ref.elements}, ref.type);
      std::memcpy(tensor.data_ptr(), storage.get(), tensor.nbytes());
      return tensor;
    };
    return unpickle(pickled, load, path.string());
  } catch (const c10::Error&) {
    throw DataError(path.string() + ": no PyTorch checkpoint, or a damaged one",
                    "take another copy or an earlier checkpoint");
  }
}

}  // namespace polyphony::tensor
