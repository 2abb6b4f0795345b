#include <polyphony/text/model.h>

#include <functional>
#include <map>
#include <utility>

#include <polyphony/base/json.h>
#include <polyphony/text/read_kind.h>

namespace polyphony::text {

Vocabulary read_vocabulary(const JsonReader& json) {
  if (!json.is_object()) json.fail("not a mapping of tokens to ids");
  std::vector<std::pair<std::string, std::uint32_t>> tokens;
  tokens.reserve(json.size());
  for (const auto& [token, id] : json.value().items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > 0xFFFFFFFFULL)
      json.fail("token `" + token + "`: its id is not a natural number");
    tokens.emplace_back(token, id.get<std::uint32_t>());
  }
  return {std::move(tokens), json.place()};
}

std::unique_ptr<Model> read_model(const JsonReader& json) {
  using Make = std::function<std::unique_ptr<Model>(const JsonReader&)>;
  static const std::map<std::string, Make> kKinds = {
      {"WordPiece", make_word_piece},
      {"BPE", make_bpe},
      {"Unigram", make_unigram},
      {"WordLevel", make_word_level},
  };
  if (json.find("type")) return read_kind(json, kKinds, "model");
  if (json.find("merges")) return make_bpe(json);
  if (json.find("max_input_chars_per_word")) return make_word_piece(json);
  return json.at("vocab").is_array() ? make_unigram(json) : make_word_level(json);
}

}  // namespace polyphony::text
