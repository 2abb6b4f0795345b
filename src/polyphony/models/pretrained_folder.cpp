#include <polyphony/models/pretrained_folder.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/file_reader.h>
#include <polyphony/base/files.h>
#include <polyphony/base/json.h>
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

constexpr std::string_view kDataParallel = "module.";

void replace_all(std::string& name, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = name.find(from, at)) != std::string::npos; at += to.size()) {
    name.replace(at, from.size(), to);
  }
}

/// Old and new spellings of one weight: those that Transformers 4.27.1 renames, and the
/// parametrized weight norms of later versions.
std::string todays_name(std::string name) {
  replace_all(name, "gamma", "weight");
  replace_all(name, "beta", "bias");
  replace_all(name, "parametrizations.weight.original0", "weight_g");
  replace_all(name, "parametrizations.weight.original1", "weight_v");
  return name;
}

/// @throws DataError if the repository was cloned without its large files
void refuse_pointer(const fs::path& path) {
  constexpr std::string_view kPointer = "version https://git-lfs";
  if (FileReader(path).text(0, kPointer.size()) != kPointer) return;
  throw DataError(path.string() + ": a pointer of Git LFS stands for the weights",
                  "run `git lfs pull` in the folder, or give the hub's name of the model");
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

/// The names that each shard of an index holds.
std::map<std::string, std::vector<std::string>> shards_of(const fs::path& index) {
  const auto json = parse_json(read_file(index), /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("weight_map") || !json.at("weight_map").is_object())
    throw DataError(index.string() + ": no weight_map", kRemedy);
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [name, shard] : json.at("weight_map").items()) {
    if (!shard.is_string() || fs::path(shard.get<std::string>()).has_parent_path()) {
      throw DataError(
          fmt::format("{}: weight_map.{} names no file of the folder", index.string(), name),
          kRemedy);
    }
    shards[shard.get<std::string>()].push_back(name);
  }
  return shards;
}

}  // namespace

fs::path pretrained_folder(const std::string& name) { return hub::snapshot(name); }

/// One file of weights, under the names that it has for them.
class WeightFiles::File {
 public:
  explicit File(fs::path path) : path_(std::move(path)) {
    refuse_pointer(path_);
    if (path_.extension() == ".safetensors") {
      safetensors_.emplace(path_);
      names_ = safetensors_->names();
    } else {
      archive_ = read_archive(path_);
      for (const auto& [name, tensor] : *archive_) names_.push_back(name);
    }
  }
  /// A shard, whose index says what it holds; it is opened when its weights are taken.
  File(fs::path path, std::vector<std::string> names)
      : path_(std::move(path)), names_(std::move(names)) {}

  const std::vector<std::string>& names() const { return names_; }

  void take(const std::function<void(const std::string&, at::Tensor)>& receive) {
    if (!safetensors_ && !archive_) {
      take_shard(receive);
      return;
    }
    for (const std::string& name : names_) {
      receive(name, safetensors_ ? safetensors_->read(name)
                                 : std::move(archive_->extract(name).mapped()));
    }
  }

 private:
  void take_shard(const std::function<void(const std::string&, at::Tensor)>& receive) {
    File shard(path_);
    for (const std::string& name : names_) {
      if (std::find(shard.names_.begin(), shard.names_.end(), name) == shard.names_.end()) {
        throw DataError(
            fmt::format("{}: {} is missing, which the index says is there", path_.string(), name),
            kRemedy);
      }
    }
    shard.take(receive);
  }

  fs::path path_;
  std::vector<std::string> names_;
  std::optional<tensor::SafetensorsFile> safetensors_;
  std::optional<TensorMap> archive_;
};

WeightFiles::~WeightFiles() = default;
WeightFiles::WeightFiles(WeightFiles&&) noexcept = default;

WeightFiles::WeightFiles(const fs::path& folder) {
  for (const char* stem : {"model.safetensors", "pytorch_model.bin"}) {
    if (fs::exists(folder / stem)) {
      files_.push_back(std::make_unique<File>(folder / stem));
      return;
    }
    const fs::path index = folder / (std::string(stem) + ".index.json");
    if (!fs::exists(index)) continue;
    for (auto& [shard, names] : shards_of(index)) {
      if (!fs::exists(folder / shard))
        throw DataError(fmt::format("{}: the shard {} is missing", index.string(), shard), kRemedy);
      files_.push_back(std::make_unique<File>(folder / shard, names));
    }
    return;
  }
  throw DataError(
      fmt::format("{}: no weights (model.safetensors or pytorch_model.bin, or an index of shards)",
                  folder.string()),
      kRemedy);
}

/// How many letters stand before every name that do not belong to it.
std::size_t WeightFiles::before_names() const {
  bool any = false;
  for (const auto& file : files_) {
    for (const std::string& name : file->names()) {
      if (!name.starts_with(kDataParallel)) return 0;
      any = true;
    }
  }
  return any ? kDataParallel.size() : 0;
}

std::vector<std::string> WeightFiles::names() const {
  const std::size_t skipped = before_names();
  std::vector<std::string> names;
  for (const auto& file : files_) {
    for (const std::string& name : file->names()) {
      names.push_back(todays_name(name.substr(skipped)));
    }
  }
  return names;
}

void WeightFiles::take(const std::function<void(const std::string&, at::Tensor)>& receive) {
  const std::size_t skipped = before_names();
  for (auto& file : files_) {
    file->take([&](const std::string& name, at::Tensor weight) {
      receive(todays_name(name.substr(std::min(skipped, name.size()))), std::move(weight));
    });
    file.reset();
  }
  files_.clear();
}

TensorMap read_weights(const fs::path& folder) {
  TensorMap weights;
  WeightFiles(folder).take([&](const std::string& name, at::Tensor weight) {
    weights.emplace(name, std::move(weight));
  });
  return weights;
}

void copy_companions(const fs::path& from, const fs::path& to) {
  for (const char* name : kCompanions) {
    if (fs::exists(from / name)) write_file(to / name, read_file(from / name));
  }
}

}  // namespace polyphony::models
