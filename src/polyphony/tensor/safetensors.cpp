#include <polyphony/tensor/safetensors.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
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

SafetensorsHeader read_safetensors_header(const FileReader& file) {
  const fs::path& path = file.path();
  std::uint64_t length = 0;
  if (file.read(0, &length, kLengthBytes) < kLengthBytes)
    unfit(path, "truncated, or no .safetensors file");
  if (length > file.size() - kLengthBytes) unfit(path, "truncated in its header");
  const std::uint64_t data_at = kLengthBytes + length;
  const std::uint64_t room = file.size() - data_at;
  SafetensorsHeader header;
  try {
    const Json json = parse_json(file.text(kLengthBytes, length));
    for (const auto& [name, item] : json.items()) {
      if (name == "__metadata__") {
        header.metadata = item.get<std::map<std::string, std::string>>();
        continue;
      }
      const auto offsets = item.at("data_offsets").get<std::vector<std::uint64_t>>();
      if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > room) {
        unfit(path, fmt::format("truncated, or damaged: tensor '{}' lies outside the file", name));
      }
      SafetensorsEntry entry;
      entry.type = type_of(path, name, item.at("dtype").get<std::string>());
      entry.shape = item.at("shape").get<std::vector<std::int64_t>>();
      entry.begin = data_at + offsets[0];
      entry.size = bytes_of(path, name, entry.type, entry.shape, room);
      if (entry.size != offsets[1] - offsets[0]) {
        unfit(path, fmt::format("tensor '{}' has a shape that does not fit its data", name));
      }
      header.tensors.emplace(name, std::move(entry));
    }
  } catch (const Json::exception& error) {
    unfit(path, fmt::format("the header is damaged ({})", error.what()));
  }
  return header;
}

std::string safetensors_header(std::span<const NamedTensor> tensors,
                               const std::map<std::string, std::string>& metadata,
                               std::size_t alignment) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t size = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto known = std::find_if(
        std::begin(kTypes), std::end(kTypes),
        [type = tensor.scalar_type()](const auto& each) { return each.second == type; });
    if (known == std::end(kTypes)) {
      throw DataError(fmt::format("tensor '{}' is of type {}, which is not written", name,
                                  at::toString(tensor.scalar_type())),
                      "convert it to float32 first");
    }
    header[name] = {{"dtype", known->first},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {size, size + tensor.nbytes()}}};
    size += tensor.nbytes();
  }
  std::string text = header.dump();
  text.append((alignment - (kLengthBytes + text.size()) % alignment) % alignment, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), kLengthBytes) + text;
}

SafetensorsFile::SafetensorsFile(const fs::path& path)
    : file_(path), entries_(read_safetensors_header(file_).tensors) {}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

at::Tensor SafetensorsFile::read(const std::string& name) const {
  const SafetensorsEntry& entry = entries_.at(name);
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
  const std::vector<NamedTensor> named(tensors.begin(), tensors.end());
  FileWriter file(path);
  file.write(safetensors_header(named, metadata));
  for (const auto& [name, tensor] : named) {
    const at::Tensor plain = tensor.detach().cpu().contiguous();
    file.write({static_cast<const char*>(plain.data_ptr()), plain.nbytes()});
  }
  file.finish();
}

}  // namespace polyphony::tensor
