#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <polyphony/tensor/safetensors.h>

namespace polyphony::models {

/// The folder of a pretrained model: a local folder is itself, another name is asked of the hub and
/// its cache. @throws as hub::snapshot
std::filesystem::path pretrained_folder(const std::string& name);

/// The weights of a folder in Hugging Face's layout: model.safetensors, its shards
/// (model.safetensors.index.json), pytorch_model.bin or its shards, whichever comes first. They are
/// read when they are asked for, so that no more than the file at hand is in memory: of a
/// .safetensors one tensor, of a .bin the whole file.
///
/// Names are today's: LayerNorm's gamma and beta are weight and bias, a weight norm's
/// parametrizations are weight_g and weight_v, and the "module." before all names is gone.
class WeightFiles {
 public:
  /// @throws IoError; DataError naming the file if it is missing or damaged
  explicit WeightFiles(const std::filesystem::path& folder);
  ~WeightFiles();
  WeightFiles(WeightFiles&&) noexcept;
  WeightFiles(const WeightFiles&) = delete;

  std::vector<std::string> names() const;
  /// Hands over every weight, file by file. A weight's memory is its own. Once only.
  /// @throws as the constructor
  void take(const std::function<void(const std::string& name, at::Tensor weight)>& receive);

 private:
  class File;
  std::size_t before_names() const;

  std::vector<std::unique_ptr<File>> files_;
};

/// All weights of a folder. @throws as WeightFiles
tensor::TensorMap read_weights(const std::filesystem::path& folder);

/// Copies what belongs to a model beside its weights (tokenizer and preprocessor files) from one
/// folder to another, as far as it is there.
void copy_companions(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace polyphony::models
