#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/text/encoding.h>
#include <polyphony/text/json_reader.h>

namespace polyphony::text {

/// White space at the ends of a token's spelling, in code points.
struct Blanks {
  std::uint16_t leading = 0, trailing = 0;
};
/// Of a spelling; the byte-level stand-in for a blank counts too.
Blanks blanks_of(std::string_view spelling);

/// The tokens of one text before special ones are added.
struct TokenRun {
  std::vector<std::uint32_t> ids;
  std::vector<Span> offsets;  ///< code points of the text
  std::vector<std::int32_t> words;
  std::vector<Blanks> blanks;  ///< filled where the post-processor trims
  std::size_t replaced = 0;

  void clear();
};

/// A window of a run.
struct Window {
  std::size_t begin, end;
};

/// What stands around a text, or around two, and how offsets are trimmed.
class PostProcessor {
 public:
  PostProcessor() = default;
  /// What `tokenizer.json` calls a post_processor: TemplateProcessing, BertProcessing,
  /// RobertaProcessing, ByteLevel, Sequence.
  /// @throws DataError naming place and what is wrong
  explicit PostProcessor(const JsonReader& json);

  bool trims() const { return !trims_.empty(); }
  /// How many special tokens go around one text or two.
  std::size_t added(bool pair) const;

  /// Puts windows of the runs together. @param windows  first the kept one, for each run; the rest
  /// becomes overflow
  Encoding assemble(std::span<const TokenRun* const> runs,
                    std::span<const std::vector<Window>> windows, bool add_special_tokens) const;

 private:
  struct Piece {
    std::optional<std::size_t> run;  ///< 0 or 1; nothing: special tokens
    std::uint32_t type_id = 0;
    std::vector<std::uint32_t> ids;
  };
  using Template = std::vector<Piece>;

  void read(const JsonReader& json);
  void read_template(const JsonReader& json);
  void read_around(const JsonReader& json, bool roberta);
  Encoding fill(std::span<const TokenRun* const> runs, std::span<const Window> windows,
                std::span<const bool> overflows, bool add_special_tokens) const;
  void append(const TokenRun& run, Window window, std::uint32_t type_id, Encoding& out) const;

  std::vector<bool> trims_;  ///< one a step: whether a blank was set before the text
  bool has_template_ = false;
  bool one_type_ = false;  ///< RoBERTa: every type id is 0
  Template single_{{0, 0, {}}};
  Template pair_{{0, 0, {}}, {1, 1, {}}};
};

/// The windows that truncation leaves of one or two runs. @param sizes  of the runs; @param
/// max_length  without special tokens
/// @throws ConfigError where the strategy cannot reach that length, or the stride is too long
std::vector<std::vector<Window>> truncate(std::span<const std::size_t> sizes,
                                          const Truncation& truncation, std::size_t max_length);

}  // namespace polyphony::text
