#include <polyphony/models/pretrained_folder.h>

#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/hub/snapshot.h>
#include <polyphony/tensor/archive.h>

namespace polyphony::models {
namespace fs = std::filesystem;
namespace {

using tensor::TensorMap;

constexpr const char* kCompanions[] = {"preprocessor_config.json",
                                       "tokenizer.json",
                                       "tokenizer_config.json",
                                       "special_tokens_map.json",
                                       "added_tokens.json",
                                       "vocab.txt",
                                       "vocab.json",
                                       "merges.txt",
                                       "sentencepiece.bpe.model"};

constexpr const char* kRemedy = "copy the model's folder again, or save it with save_pretrained";

void replace(std::string& name, std::string_view from, std::string_view to) {
  const std::size_t at = name.rfind(from);
  if (at != std::string::npos) name.replace(at, from.size(), to);
}

/// Old and new spellings of one weight.
std::string todays_name(std::string name) {
  if (name.find("LayerNorm") != std::string::npos) {
    replace(name, "gamma", "weight");
    replace(name, "beta", "bias");
  }
  replace(name, "parametrizations.weight.original0", "weight_g");
  replace(name, "parametrizations.weight.original1", "weight_v");
  return name;
}

TensorMap read_archive(const fs::path& path) {
  TensorMap weights;
  const tensor::Value value = tensor::load_archive(path);
  if (value.kind() != tensor::Value::Kind::kDict)
    throw DataError(path.string() + ": holds no mapping of names to tensors", kRemedy);
  for (const auto& [name, item] : value.entries()) {
    if (item.kind() != tensor::Value::Kind::kTensor) continue;
    weights.emplace(name.as_string(), item.as_tensor());
  }
  return weights;
}

TensorMap read_one(const fs::path& path) {
  return path.extension() == ".safetensors" ? tensor::load_safetensors(path) : read_archive(path);
}

/// All shards that an index names.
TensorMap read_shards(const fs::path& index) {
  const auto json = nlohmann::json::parse(read_file(index), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("weight_map") || !json.at("weight_map").is_object())
    throw DataError(index.string() + ": no weight_map", kRemedy);
  std::set<std::string> shards;
  for (const auto& [name, shard] : json.at("weight_map").items()) {
    if (!shard.is_string() || fs::path(shard.get<std::string>()).has_parent_path()) {
      throw DataError(
          fmt::format("{}: weight_map.{} names no file of the folder", index.string(), name),
          kRemedy);
    }
    shards.insert(shard.get<std::string>());
  }
  TensorMap weights;
  for (const std::string& shard : shards) {
    const fs::path path = index.parent_path() / shard;
    if (!fs::exists(path))
      throw DataError(fmt::format("{}: the shard {} is missing", index.string(), shard), kRemedy);
    weights.merge(read_one(path));
  }
  for (const auto& [name, shard] : json.at("weight_map").items()) {
    if (!weights.contains(name)) {
      throw DataError(
          fmt::format("{}: {} is not in {}", index.string(), name, shard.get<std::string>()),
          kRemedy);
    }
  }
  return weights;
}

}  // namespace

fs::path pretrained_folder(const std::string& name) { return hub::snapshot(name); }

TensorMap read_weights(const fs::path& folder) {
  TensorMap weights;
  if (fs::exists(folder / "model.safetensors")) {
    weights = read_one(folder / "model.safetensors");
  } else if (fs::exists(folder / "model.safetensors.index.json")) {
    weights = read_shards(folder / "model.safetensors.index.json");
  } else if (fs::exists(folder / "pytorch_model.bin")) {
    weights = read_one(folder / "pytorch_model.bin");
  } else if (fs::exists(folder / "pytorch_model.bin.index.json")) {
    weights = read_shards(folder / "pytorch_model.bin.index.json");
  } else {
    throw DataError(
        fmt::format(
            "{}: no weights (model.safetensors or pytorch_model.bin, or an index of shards)",
            folder.string()),
        kRemedy);
  }
  TensorMap renamed;
  for (auto& [name, tensor] : weights) renamed.emplace(todays_name(name), tensor);
  return renamed;
}

void copy_companions(const fs::path& from, const fs::path& to) {
  for (const char* name : kCompanions) {
    if (fs::exists(from / name)) write_file(to / name, read_file(from / name));
  }
}

}  // namespace polyphony::models
