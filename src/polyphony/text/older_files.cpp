#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/utf8.h>
#include <polyphony/text/json_reader.h>
#include <polyphony/text/pretrained.h>

namespace polyphony::text {
namespace {

using nlohmann::json;

constexpr auto kAgain = "the file may be cut off: fetch or save the tokenizer again";

/// The lines of a file, without their ends. @throws DataError where it is not UTF-8
std::vector<std::string_view> lines_of(std::string_view text, const std::string& place) {
  if (valid_prefix(text) != text.size())
    throw DataError(fmt::format("{}: byte {} is not UTF-8", place, valid_prefix(text)), kAgain);
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// `[token, id]`, as post-processors name their tokens.
json token_with_id(const json& vocabulary, const std::string& token, const std::string& place) {
  const auto found = vocabulary.find(token);
  if (found == vocabulary.end())
    throw DataError(fmt::format("{}: no `{}`, which stands around every text", place, token),
                    "name the special tokens in special_tokens_map.json");
  return json::array({token, *found});
}

json special(const std::string& id, std::uint32_t type_id) {
  return {{"SpecialToken", {{"id", id}, {"type_id", type_id}}}};
}
json sequence(const char* id, std::uint32_t type_id) {
  return {{"Sequence", {{"id", id}, {"type_id", type_id}}}};
}

json template_of(json single, json pair, const json& begin, const json& end) {
  json tokens = json::object();
  for (const json& token : {begin, end}) {
    const auto name = token[0].get<std::string>();
    tokens[name] = {{"id", name}, {"ids", {token[1]}}, {"tokens", {name}}};
  }
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", std::move(pair)},
          {"special_tokens", std::move(tokens)}};
}

json convert_bert(const PretrainedFiles& files) {
  const std::string place = files.place("vocab.txt");
  json vocabulary = json::object();
  std::uint32_t id = 0;
  for (const std::string_view line : lines_of(files.bytes.at("vocab.txt"), place))
    vocabulary[std::string(line)] = id++;
  const JsonReader config(files.config, files.place("tokenizer_config.json"));
  const std::string cls = special_token(files, "cls_token", "[CLS]");
  const std::string sep = special_token(files, "sep_token", "[SEP]");
  const json begin = token_with_id(vocabulary, cls, place);
  const json end = token_with_id(vocabulary, sep, place);
  const auto strip = config.find("strip_accents");
  const json single = json::array({special(cls, 0), sequence("A", 0), special(sep, 0)});
  json pair = single;
  pair.push_back(sequence("B", 1));
  pair.push_back(special(sep, 1));
  return {{"normalizer",
           {{"type", "BertNormalizer"},
            {"clean_text", true},
            {"handle_chinese_chars", config.boolean_or("tokenize_chinese_chars", true)},
            {"strip_accents", strip ? json(strip->boolean()) : json()},
            {"lowercase", config.boolean_or("do_lower_case", true)}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"post_processor", template_of(single, pair, begin, end)},
          {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
          {"model",
           {{"type", "WordPiece"},
            {"unk_token", special_token(files, "unk_token", "[UNK]")},
            {"continuing_subword_prefix", "##"},
            {"max_input_chars_per_word", 100},
            {"vocab", std::move(vocabulary)}}}};
}

json convert_roberta(const PretrainedFiles& files) {
  const std::string place = files.place("vocab.json");
  json vocabulary = parse_json(files.bytes.at("vocab.json"), place);
  if (!vocabulary.is_object()) throw DataError(place + ": not a mapping of tokens to ids", kAgain);
  const JsonReader config(files.config, files.place("tokenizer_config.json"));
  const bool prefix = config.boolean_or("add_prefix_space", false);
  json merges = json::array();
  for (const std::string_view line :
       lines_of(files.bytes.at("merges.txt"), files.place("merges.txt"))) {
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
  }
  const json begin = token_with_id(vocabulary, special_token(files, "cls_token", "<s>"), place);
  const json end = token_with_id(vocabulary, special_token(files, "sep_token", "</s>"), place);
  const json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", prefix},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  return {{"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor",
           {{"type", "RobertaProcessing"},
            {"sep", end},
            {"cls", begin},
            {"trim_offsets", config.boolean_or("trim_offsets", true)},
            {"add_prefix_space", prefix}}},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", ""},
            {"end_of_word_suffix", ""},
            {"fuse_unk", false},
            {"vocab", std::move(vocabulary)},
            {"merges", std::move(merges)}}}};
}

}  // namespace

json convert_older_files(const PretrainedFiles& files) {
  const auto has = [&](const char* name) { return files.bytes.contains(name); };
  json document;
  if (has("vocab.txt") && (files.tokenizer_class == "BertTokenizer" || !has("vocab.json"))) {
    document = convert_bert(files);
  } else if (has("vocab.json") && has("merges.txt")) {
    document = convert_roberta(files);
  } else if (has("sentencepiece.bpe.model")) {
    document = convert_sentencepiece(files.bytes.at("sentencepiece.bpe.model"),
                                     files.place("sentencepiece.bpe.model"));
  } else if (has("vocab.json") || has("merges.txt")) {
    throw DataError(fmt::format("{}: no {}", files.folder.string(),
                                has("vocab.json") ? "merges.txt" : "vocab.json"),
                    "byte-level BPE needs both files");
  } else {
    throw DataError(fmt::format("{}: no tokenizer", files.folder.string()),
                    "there should be tokenizer.json, vocab.txt, vocab.json with merges.txt, or "
                    "sentencepiece.bpe.model");
  }
  document["version"] = "1.0";
  document["truncation"] = nullptr;
  document["padding"] = nullptr;
  document["added_tokens"] = json::array();
  return document;
}

}  // namespace polyphony::text
