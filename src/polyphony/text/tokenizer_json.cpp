#include <fmt/format.h>

#include <polyphony/text/tokenizer_parts.h>

namespace polyphony::text {
namespace {

Side read_side(const JsonReader& json) {
  const std::string name = json.string_or("direction", "Right");
  if (name != "Right" && name != "Left") json.fail(fmt::format("no direction `{}`", name));
  return name == "Left" ? Side::kLeft : Side::kRight;
}

Truncation read_truncation(const JsonReader& json) {
  Truncation truncation;
  const std::string strategy = json.at("strategy").string();
  if (strategy == "LongestFirst") {
    truncation.strategy = TruncationStrategy::kLongestFirst;
  } else if (strategy == "OnlyFirst") {
    truncation.strategy = TruncationStrategy::kOnlyFirst;
  } else if (strategy == "OnlySecond") {
    truncation.strategy = TruncationStrategy::kOnlySecond;
  } else {
    json.at("strategy")
        .fail(fmt::format("no strategy `{}`", strategy),
              "there are LongestFirst, OnlyFirst, OnlySecond");
  }
  truncation.max_length = json.at("max_length").natural();
  truncation.stride = json.at("stride").natural();
  truncation.side = read_side(json);
  return truncation;
}

Padding read_padding(const JsonReader& json) {
  Padding padding;
  const JsonReader strategy = json.at("strategy");
  if (strategy.is_object()) {
    padding.strategy = PaddingStrategy::kMaxLength;
    padding.length = strategy.at("Fixed").natural();
  } else if (strategy.string() == "BatchLongest") {
    padding.strategy = PaddingStrategy::kLongest;
  } else {
    strategy.fail("neither BatchLongest nor Fixed");
  }
  if (const auto multiple = json.find("pad_to_multiple_of"))
    padding.multiple_of = multiple->natural();
  padding.side = read_side(json);
  padding.id = json.at("pad_id").natural();
  padding.type_id = json.at("pad_type_id").natural();
  return padding;
}

std::vector<Blanks> blanks_of_all(const Vocabulary& vocabulary) {
  std::vector<Blanks> all;
  for (const auto& [token, id] : vocabulary.tokens()) {
    if (all.size() <= id) all.resize(id + 1);
    all[id] = blanks_of(token);
  }
  return all;
}

}  // namespace

TokenizerParts::TokenizerParts(const JsonReader& json) {
  const std::string version = json.string_or("version", "1.0");
  if (version != "1.0") json.at("version").fail(fmt::format("`{}` is not 1.0", version));
  model = read_model(json.at("model"));
  if (const auto part = json.find("normalizer")) normalizer = read_normalizer(*part);
  if (const auto part = json.find("pre_tokenizer")) pre_tokenizer = read_pre_tokenizer(*part);
  if (const auto part = json.find("post_processor")) post_processor = PostProcessor(*part);
  if (const auto part = json.find("decoder")) decoder = read_decoder(*part);
  std::vector<AddedToken> tokens;
  if (const auto list = json.find("added_tokens")) {
    for (const JsonReader& token : list->items()) tokens.push_back(read_added_token(token));
  }
  added = AddedTokens(tokens, model->vocabulary(), normalizer.get());
  if (post_processor.trims()) blanks = blanks_of_all(model->vocabulary());
  if (const auto part = json.find("truncation")) json_options.truncation = read_truncation(*part);
  if (const auto part = json.find("padding")) {
    json_options.padding = read_padding(*part);
    options.padding.id = json_options.padding.id;
    options.padding.type_id = json_options.padding.type_id;
    options.padding.side = json_options.padding.side;
  }
}

}  // namespace polyphony::text
