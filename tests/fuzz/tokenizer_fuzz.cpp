// Any bytes up to the first NUL are a tokenizer.json or an Error; what follows is encoded and
// decoded.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <polyphony/base/error.h>
#include <polyphony/text/tokenizer.h>

namespace {

using namespace polyphony::text;

void check(bool holds) {
  if (!holds) std::abort();
}

void check(const Encoding& encoding, const Tokenizer& tokenizer) {
  const std::size_t size = encoding.size();
  check(encoding.type_ids.size() == size && encoding.attention_mask.size() == size);
  check(encoding.special_tokens_mask.size() == size && encoding.offsets.size() == size);
  check(encoding.words.size() == size);
  tokenizer.decode(encoding.ids, Tokenizer::SpecialTokens::kKeep);
  tokenizer.decode(encoding.ids, Tokenizer::SpecialTokens::kSkip);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t end = all.find('\0');
  const std::string_view text = end == std::string_view::npos ? "" : all.substr(end + 1);
  try {
    const Tokenizer tokenizer = Tokenizer::from_json(all.substr(0, end), "fuzz");
    check(tokenizer.encode(text, {}), tokenizer);
    EncodeOptions options = tokenizer.options_of_length(16);
    options.truncation.stride = 2;
    check(tokenizer.encode({text, text.substr(text.size() / 2)}, options), tokenizer);
  } catch (const polyphony::Error&) {
  }
  return 0;
}
