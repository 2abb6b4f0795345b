#include <polyphony/models/model.h>

#include <vector>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::models {
namespace {

std::string remedy_for(const std::string& name) {
  if (name.starts_with("log_mel")) {
    return "use a dataset with audio_path, and have log_mel in dataset.inputs";
  }
  if (name.starts_with("ngrams")) {
    return "use a dataset with text, and have ngrams in dataset.inputs";
  }
  return fmt::format("have {} in dataset.inputs", name);
}

}  // namespace

const at::Tensor& input(const data::Batch& batch, const std::string& name) {
  if (batch.has(name)) return batch.at(name);
  std::vector<std::string> names;
  for (const auto& [key, tensor] : batch.entries()) names.push_back(key);
  throw DataError(
      fmt::format("this model needs '{}' but the dataset gives: {}", name, fmt::join(names, ", ")),
      remedy_for(name));
}

}  // namespace polyphony::models
