#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <polyphony/config/bind/fields.h>
#include <polyphony/text/tokenizer.h>

namespace polyphony::text {

struct AutoTokenizerOptions {
  std::string pretrained_model_name_or_path;
  std::string revision = "main";
  bool use_fast = true;

  void describe(config::Fields& f);
};

/// A tokenizer as YAML names it: `{_target_: transformers.AutoTokenizer.from_pretrained,
/// pretrained_model_name_or_path: klue/roberta-large}`.
class AutoTokenizer {
 public:
  static constexpr const char* kKind = "Tokenizer";
  using Options = AutoTokenizerOptions;
  /// Name and revision to the folder that holds the files.
  using Resolve =
      std::function<std::filesystem::path(const std::string& name, const std::string& revision)>;

  explicit AutoTokenizer(Options options);

  const Options& options() const { return options_; }
  /// @param resolve  finds the folder of a name, as hub::snapshot does; without it names are
  /// folders
  /// @throws what resolve and Tokenizer::from_pretrained throw
  Tokenizer load(const Resolve& resolve = {}) const;

 private:
  Options options_;
};

}  // namespace polyphony::text
