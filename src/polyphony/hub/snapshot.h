#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include <polyphony/base/environment.h>
#include <polyphony/hub/blob.h>

namespace polyphony::hub {

/// Which files of a model are wanted.
struct Wanted {
  /// Names, or patterns of fnmatch ("model-*.safetensors").
  std::vector<std::string> patterns;
  /// Of each list one file at least must be there, else the model is of no use.
  std::vector<std::vector<std::string>> needed;
};

/// config.json, weights, and the files of tokenizer and feature extractor. PyTorch's pickles
/// (pytorch_model*.bin) are left out where the same weights are there as safetensors.
Wanted model_files();
/// config.json and the files of a tokenizer.
Wanted tokenizer_files();

struct SnapshotOptions {
  std::string revision = "main";  ///< branch, tag or commit
  Wanted wanted = model_files();
  std::filesystem::path cache_dir;  ///< empty: what the environment says (settings.h)
  Environment environment = process_environment();
  TransferOptions transfer = usual_transfer();

  /// Five tries, progress on the standard error output.
  static TransferOptions usual_transfer();
};

/// The folder that holds a model's files.
///
/// A folder's path is returned as it is. A name ("facebook/hubert-large-ls960-ft", "roberta-base")
/// means the hub: what its revision holds now is fetched into huggingface_hub's cache, file by
/// file, where it is not there already. Without a network, or with HF_HUB_OFFLINE=1, the cache
/// answers alone.
/// @throws ConfigError for what is neither a folder nor a name
/// @throws DataError where hub or cache lack the model, its revision or a needed file, where the
///         hub asks for a token (how to get one is said), or where a file is not what the hub says
/// @throws IoError where network or disk fail
std::filesystem::path snapshot(const std::string& name_or_path,
                               const SnapshotOptions& options = {});

}  // namespace polyphony::hub
