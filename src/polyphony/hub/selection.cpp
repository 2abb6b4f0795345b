#include <polyphony/hub/selection.h>

#include <fnmatch.h>

#include <algorithm>
#include <functional>
#include <set>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/json.h>

namespace polyphony::hub {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kTokenizerFiles = {"tokenizer.json",
                                                  "tokenizer_config.json",
                                                  "special_tokens_map.json",
                                                  "added_tokens.json",
                                                  "vocab.txt",
                                                  "vocab.json",
                                                  "merges.txt",
                                                  "tokenizer.model",
                                                  "spiece.model",
                                                  "sentencepiece.bpe.model"};

const std::vector<std::string> kWeightFiles = {"model.safetensors", "model.safetensors.index.json",
                                               "pytorch_model.bin", "pytorch_model.bin.index.json"};

bool matches(const std::string& name, const std::string& pattern) {
  return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

std::vector<std::string> missing(const Wanted& wanted,
                                 const std::function<bool(const std::string&)>& has) {
  std::vector<std::string> lacking;
  for (const auto& choice : wanted.needed) {
    if (std::none_of(choice.begin(), choice.end(), has)) {
      lacking.push_back(fmt::format("{}", fmt::join(choice, " or ")));
    }
  }
  return lacking;
}

}  // namespace

Wanted model_files() {
  Wanted wanted = tokenizer_files();
  wanted.patterns.insert(wanted.patterns.end(), kWeightFiles.begin(), kWeightFiles.end());
  wanted.patterns.insert(wanted.patterns.end(), {"model-*.safetensors", "pytorch_model-*.bin",
                                                 "preprocessor_config.json"});
  wanted.needed = {{"config.json"}, kWeightFiles};
  return wanted;
}

Wanted tokenizer_files() {
  Wanted wanted;
  wanted.patterns = kTokenizerFiles;
  wanted.patterns.emplace_back("config.json");
  wanted.needed = {
      {"tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model"}};
  return wanted;
}

std::vector<std::string> select(const std::vector<std::string>& names, const Wanted& wanted) {
  std::vector<std::string> chosen;
  for (const std::string& name : names) {
    const bool hit = std::any_of(wanted.patterns.begin(), wanted.patterns.end(),
                                 [&](const auto& pattern) { return matches(name, pattern); });
    if (hit) chosen.push_back(name);
  }
  const bool safe = std::any_of(chosen.begin(), chosen.end(), [](const std::string& name) {
    return name == "model.safetensors" || name == "model.safetensors.index.json";
  });
  if (safe) {
    std::erase_if(chosen, [](const auto& name) { return matches(name, "pytorch_model*.bin*"); });
  }
  return chosen;
}

std::vector<std::string> shards_of(const fs::path& index) {
  const auto json = parse_json(read_file(index), /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    throw DataError(index.string() + ": no weight_map: not an index of shards",
                    "remove the file and fetch the model again");
  }
  std::set<std::string> names;
  for (const auto& name : json["weight_map"]) {
    if (name.is_string()) names.insert(name.get<std::string>());
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> missing_files(const fs::path& folder, const Wanted& wanted) {
  const auto has = [&](const std::string& name) {
    std::error_code error;
    return fs::exists(folder / name, error);
  };
  std::vector<std::string> lacking = missing(wanted, has);
  std::set<std::string> named;
  for (const auto& choice : wanted.needed) named.insert(choice.begin(), choice.end());
  for (const std::string& index : named) {
    if (!index.ends_with(".index.json") || !has(index)) continue;
    for (const std::string& shard : shards_of(folder / index)) {
      if (!has(shard)) lacking.push_back(shard);
    }
  }
  return lacking;
}

std::vector<std::string> missing_files(const std::vector<std::string>& names,
                                       const Wanted& wanted) {
  return missing(wanted, [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  });
}

}  // namespace polyphony::hub
