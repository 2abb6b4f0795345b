#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/text/added_tokens.h>
#include <polyphony/text/encoding.h>

namespace polyphony::text {

struct TokenizerParts;

/// A text, or two that a model reads together.
struct TextPair {
  std::string_view first;
  std::optional<std::string_view> second = std::nullopt;
};

/// A Hugging Face tokenizer: normaliser, pre-tokenizer, model, post-processor and decoder, with its
/// added tokens. Immutable, and used by any number of threads at once.
/// Agrees with the `tokenizers` library, 0.23.2, in ids, offsets and masks.
class Tokenizer {
 public:
  /// A folder as Transformers saves it: `tokenizer.json`, or the older `vocab.txt` (BERT),
  /// `vocab.json` and `merges.txt` (RoBERTa), `sentencepiece.bpe.model` (XLM-R), beside
  /// tokenizer_config.json, special_tokens_map.json, added_tokens.json and config.json where there
  /// are.
  /// @throws DataError naming file, key and what is wrong; IoError where a file cannot be read
  static Tokenizer from_pretrained(const std::filesystem::path& folder);
  /// The text of a `tokenizer.json`. @param name  for messages
  static Tokenizer from_json(std::string_view json, const std::string& name);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Bytes that are not UTF-8 count as U+FFFD, are counted in `replaced`, and offsets are of the
  /// text with them.
  /// @throws ConfigError for a truncation that cannot be done; DataError for a word that is unknown
  /// to a vocabulary without an unknown token
  Encoding encode(TextPair text, const EncodeOptions& options) const;
  Encoding encode(std::string_view text, const EncodeOptions& options) const {
    return encode(TextPair{text}, options);
  }
  /// The texts one by one, padded together.
  std::vector<Encoding> encode_batch(std::span<const TextPair> texts,
                                     const EncodeOptions& options) const;
  std::vector<Encoding> encode_batch(std::span<const std::string> texts,
                                     const EncodeOptions& options) const;

  enum class SpecialTokens { kKeep, kSkip };
  /// The text that ids stand for; ids that are no token's are left out.
  std::string decode(std::span<const std::uint32_t> ids, SpecialTokens special) const;

  std::optional<std::uint32_t> id_of(std::string_view token) const;
  std::optional<std::string> token_of(std::uint32_t id) const;
  /// Tokens of the model and added ones.
  std::size_t size() const;
  /// Ids go up to this, exclusive: the rows that an embedding needs.
  std::size_t id_limit() const;

  /// What the files ask for: sides, padding ids, and neither truncation nor padding.
  const EncodeOptions& options() const;
  /// The same, cut and padded to a length: what the reference does to every text.
  EncodeOptions options_of_length(std::size_t length) const;
  /// The truncation and padding that stand in tokenizer.json, which Transformers does not follow.
  const EncodeOptions& json_options() const;
  /// The longest input of the model, special tokens included, where the files say so.
  std::optional<std::size_t> max_length() const;
  /// By role: "pad_token", "cls_token", "sep_token", "unk_token", "mask_token", "bos_token",
  /// "eos_token".
  const std::map<std::string, std::string>& special_tokens() const;
  std::optional<std::uint32_t> pad_id() const;

  /// Writes tokenizer.json and the other files that the tokenizer came from.
  void save_pretrained(const std::filesystem::path& folder) const;

 private:
  explicit Tokenizer(std::unique_ptr<TokenizerParts> parts);

  std::unique_ptr<TokenizerParts> parts_;
};

}  // namespace polyphony::text
