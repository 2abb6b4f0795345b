#include <polyphony/text/auto_tokenizer.h>

#include <utility>

#include <polyphony/config/bind/registry.h>

namespace polyphony::text {

void AutoTokenizerOptions::describe(config::Fields& f) {
  f.required("pretrained_model_name_or_path", pretrained_model_name_or_path,
             "folder of the tokenizer's files, or its name on the hub");
  f("revision", revision, "on the hub: branch, tag or commit");
  f("use_fast", use_fast, "there is one implementation, and it agrees with the fast one");
}

AutoTokenizer::AutoTokenizer(Options options) : options_(std::move(options)) {}

Tokenizer AutoTokenizer::load(const Resolve& resolve) const {
  const std::string& name = options_.pretrained_model_name_or_path;
  return Tokenizer::from_pretrained(resolve ? resolve(name, options_.revision)
                                            : std::filesystem::path(name));
}

POLYPHONY_REGISTER(AutoTokenizer, AutoTokenizer, "polyphony.text.AutoTokenizer",
                   "a Hugging Face tokenizer: WordPiece, BPE, Unigram or WordLevel");

}  // namespace polyphony::text
