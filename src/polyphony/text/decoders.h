#pragma once

#include <memory>
#include <string>
#include <vector>

#include <polyphony/text/json_reader.h>

namespace polyphony::text {

/// A step from spellings of tokens back to a text: the strings that come out are joined.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual std::vector<std::string> decode(std::vector<std::string> tokens) const = 0;
};

/// What `tokenizer.json` calls a decoder: BPEDecoder, ByteLevel, WordPiece, Metaspace,
/// ByteFallback, Fuse, Strip, Replace, CTC, Sequence.
/// @throws DataError naming place and what is wrong
std::unique_ptr<Decoder> read_decoder(const JsonReader& json);

}  // namespace polyphony::text
