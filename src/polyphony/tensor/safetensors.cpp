#include <polyphony/tensor/safetensors.h>

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

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

/// One tensor of the header, checked against the bytes that are there.
at::Tensor read_tensor(const fs::path& path, const std::string& name, const Json& entry,
                       const std::string& bytes, std::size_t data_at) {
  const auto type_name = entry.at("dtype").get<std::string>();
  const auto shape = entry.at("shape").get<std::vector<std::int64_t>>();
  const auto offsets = entry.at("data_offsets").get<std::vector<std::uint64_t>>();
  const std::uint64_t room = bytes.size() - data_at;
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > room) {
    unfit(path, fmt::format("tensor '{}' lies outside the file", name));
  }
  for (const auto& [known, type] : kTypes) {
    if (type_name != known) continue;
    std::uint64_t size = at::elementSize(type);
    for (const std::int64_t length : shape) {
      if (length < 0 || (length > 0 && size > room / static_cast<std::uint64_t>(length))) {
        unfit(path, fmt::format("tensor '{}' has a shape that does not fit its data", name));
      }
      size *= static_cast<std::uint64_t>(length);
    }
    if (size != offsets[1] - offsets[0]) {
      unfit(path, fmt::format("tensor '{}' has a shape that does not fit its data", name));
    }
    at::Tensor tensor = at::empty(shape, type);
    if (size > 0) std::memcpy(tensor.data_ptr(), bytes.data() + data_at + offsets[0], size);
    return tensor;
  }
  unfit(path, fmt::format("tensor '{}' is of type {}, which is not read", name, type_name));
}

}  // namespace

TensorMap load_safetensors(const fs::path& path) {
  const std::string bytes = read_file(path);
  std::uint64_t length = 0;
  if (bytes.size() < kLengthBytes) unfit(path, "no .safetensors file");
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > bytes.size() - kLengthBytes) unfit(path, "truncated in its header");
  TensorMap tensors;
  try {
    const Json header = Json::parse(bytes.substr(kLengthBytes, length));
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") continue;
      tensors.emplace(name, read_tensor(path, name, entry, bytes, kLengthBytes + length));
    }
  } catch (const Json::exception& error) {
    unfit(path, fmt::format("the header is damaged ({})", error.what()));
  }
  return tensors;
}

void save_safetensors(const fs::path& path, const TensorMap& tensors,
                      const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::string data;
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
    const at::Tensor plain = tensor.detach().cpu().contiguous();
    const std::size_t begin = data.size();
    data.append(static_cast<const char*>(plain.data_ptr()), plain.nbytes());
    header[name] = {{"dtype", type_name},
                    {"shape", plain.sizes().vec()},
                    {"data_offsets", {begin, data.size()}}};
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(reinterpret_cast<const char*>(&length), kLengthBytes);
  write_file(path, bytes + text + data);
}

}  // namespace polyphony::tensor
