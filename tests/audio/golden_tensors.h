#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <polyphony/base/files.h>

#include "golden.h"

namespace polyphony::audio {

struct GoldenTensor {
  std::vector<std::int64_t> shape;
  std::string bytes;

  template <typename T>
  std::vector<T> as() const {
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
};

/// A safetensors file of the golden cases: tensors by name, and its metadata.
struct GoldenFile {
  std::map<std::string, GoldenTensor> tensors;
  std::map<std::string, std::string> metadata;
};

inline GoldenFile golden_tensors(const std::string& name) {
  const std::string file = read_file(golden_dir() / name);
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  const auto header = nlohmann::json::parse(file.substr(8, length));
  GoldenFile golden;
  for (const auto& [key, entry] : header.items()) {
    if (key == "__metadata__") {
      golden.metadata = entry.get<std::map<std::string, std::string>>();
      continue;
    }
    const auto begin = entry["data_offsets"][0].get<std::size_t>();
    const auto end = entry["data_offsets"][1].get<std::size_t>();
    golden.tensors[key] = {entry["shape"].get<std::vector<std::int64_t>>(),
                           file.substr(8 + length + begin, end - begin)};
  }
  return golden;
}

}  // namespace polyphony::audio
