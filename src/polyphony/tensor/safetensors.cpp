#include <polyphony/tensor/safetensors.h>

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/json.h>

namespace polyphony::tensor {
namespace fs = std::filesystem;
using Json = nlohmann::json;
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::pair<const char*, at::ScalarType> kTypes[] = {
    {"F16", at::kHalf}, {"BF16", at::kBFloat16}, {"F32", at::kFloat}, {"F64", at::kDouble},
    {"I8", at::kChar},  {"I16", at::kShort},     {"I32", at::kInt},   {"I64", at::kLong},
    {"U8", at::kByte},  {"BOOL", at::kBool}};

[[noreturn]] void unfit(const fs::path& path, const std::string& what) {
  throw DataError(fmt::format("{}: {}", path.string(), what),
                  "the file is damaged or of another kind: copy or save it again");
}

/// How many bytes a tensor takes. @throws DataError where that is beyond `room`
std::uint64_t bytes_of(const fs::path& path, const std::string& name, at::ScalarType type,
                       const std::vector<std::int64_t>& shape, std::uint64_t room) {
  std::uint64_t size = at::elementSize(type);
  for (const std::int64_t length : shape) {
    if (length < 0 || (length > 0 && size > room / static_cast<std::uint64_t>(length))) {
      unfit(path, fmt::format("tensor '{}' has a shape that does not fit its data", name));
    }
    size *= static_cast<std::uint64_t>(length);
  }
  return size;
}

at::ScalarType type_of(const fs::path& path, const std::string& name,
                       const std::string& type_name) {
  for (const auto& [known, type] : kTypes) {
    if (type_name == known) return type;
  }
  unfit(path, fmt::format("tensor '{}' is of type {}, which is not read", name, type_name));
}

}  // namespace

SafetensorsFile::SafetensorsFile(const fs::path& path) : file_(path) {
  std::uint64_t length = 0;
  if (file_.read(0, &length, kLengthBytes) < kLengthBytes) unfit(path, "no .safetensors file");
  if (length > file_.size() - kLengthBytes) unfit(path, "truncated in its header");
  const std::uint64_t data_at = kLengthBytes + length;
  const std::uint64_t room = file_.size() - data_at;
  try {
    const Json header = parse_json(file_.text(kLengthBytes, length));
    for (const auto& [name, item] : header.items()) {
      if (name == "__metadata__") continue;
      const auto offsets = item.at("data_offsets").get<std::vector<std::uint64_t>>();
      if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > room) {
        unfit(path, fmt::format("tensor '{}' lies outside the file", name));
      }
      Entry entry;
      entry.type = type_of(path, name, item.at("dtype").get<std::string>());
      entry.shape = item.at("shape").get<std::vector<std::int64_t>>();
      entry.begin = data_at + offsets[0];
      entry.size = bytes_of(path, name, entry.type, entry.shape, room);
      if (entry.size != offsets[1] - offsets[0]) {
        unfit(path, fmt::format("tensor '{}' has a shape that does not fit its data", name));
      }
      entries_.emplace(name, std::move(entry));
    }
  } catch (const Json::exception& error) {
    unfit(path, fmt::format("the header is damaged ({})", error.what()));
  }
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

at::Tensor SafetensorsFile::read(const std::string& name) const {
  const Entry& entry = entries_.at(name);
  at::Tensor tensor = at::empty(entry.shape, entry.type);
  if (entry.size > 0 && file_.read(entry.begin, tensor.data_ptr(), entry.size) < entry.size) {
    unfit(file_.path(), fmt::format("tensor '{}' lies outside the file", name));
  }
  return tensor;
}

TensorMap load_safetensors(const fs::path& path) {
  const SafetensorsFile file(path);
  TensorMap tensors;
  for (const std::string& name : file.names()) tensors.emplace(name, file.read(name));
  return tensors;
}

void save_safetensors(const fs::path& path, const TensorMap& tensors,
                      const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t size = 0;
  for (const auto& [name, tensor] : tensors) {
    const char* type_name = nullptr;
    for (const auto& [known, type] : kTypes) {
      if (type == tensor.scalar_type()) type_name = known;
    }
    if (type_name == nullptr) {
      throw DataError(fmt::format("{}: tensor '{}' is of type {}, which is not written",
                                  path.string(), name, at::toString(tensor.scalar_type())),
                      "convert it to float32 first");
    }
    header[name] = {{"dtype", type_name},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {size, size + tensor.nbytes()}}};
    size += tensor.nbytes();
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  const std::uint64_t length = text.size();
  std::string bytes;
  bytes.reserve(kLengthBytes + length + size);
  bytes.append(reinterpret_cast<const char*>(&length), kLengthBytes).append(text);
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().cpu().contiguous();
    bytes.append(static_cast<const char*>(plain.data_ptr()), plain.nbytes());
  }
  write_file(path, bytes);
}

}  // namespace polyphony::tensor
