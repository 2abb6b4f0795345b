// Folders as Transformers saves them, the old ways and the new one.
#include <bit>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/base64.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/bind/instantiate.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/text/auto_tokenizer.h>
#include <polyphony/text/tokenizer.h>

#include "scratch.h"

namespace polyphony::text {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string golden_file(const std::string& kind) {
  return read_file(std::filesystem::path(POLYPHONY_TEST_DIR) / "golden/tokenizers" / kind /
                   "tokenizer.json");
}

std::filesystem::path folder_of(const std::string& name,
                                const std::vector<std::pair<std::string, std::string>>& files) {
  const auto folder = scratch_directory() / name;
  std::filesystem::remove_all(folder);
  for (const auto& [file, bytes] : files) write_file(folder / file, bytes);
  return folder;
}

const std::vector<std::string> kTexts = {"the speech emotion 안녕하세요, 오늘 기분이 정말 좋아요!",
                                         "Don't <mask> [MASK] ÉCOLE 日本語 ㅋㅋㅋ",
                                         "reading  played\tunbelievable 2024 😀", ""};

void expect_same(const Tokenizer& got, const Tokenizer& want) {
  for (const std::string& text : kTexts) {
    EXPECT_EQ(got.encode(text, {}).ids, want.encode(text, {}).ids) << text;
    EXPECT_EQ(got.encode(text, {}).offsets, want.encode(text, {}).offsets) << text;
    EXPECT_EQ(got.encode(TextPair{text, kTexts[0]}, {}).type_ids,
              want.encode(TextPair{text, kTexts[0]}, {}).type_ids)
        << text;
  }
}

/// Only the special tokens of a golden tokenizer are added ones, as the older files have them.
std::string with_special_tokens_only(const std::string& text) {
  json document = json::parse(text);
  json kept = json::array();
  for (const json& token : document["added_tokens"]) {
    if (token["special"] == true) kept.push_back(token);
  }
  document["added_tokens"] = kept;
  return document.dump();
}

std::string error_of(const std::filesystem::path& folder) {
  try {
    Tokenizer::from_pretrained(folder);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Pretrained, ReadsBertsVocabulary) {
  for (const auto& [kind, config] :
       {std::pair{"bert_uncased", "{}"},
        std::pair{"bert_klue",
                  R"({"tokenizer_class": "BertTokenizer", "do_lower_case": false})"}}) {
    const std::string text = with_special_tokens_only(golden_file(kind));
    const json document = json::parse(text);
    std::vector<std::string> lines(document["model"]["vocab"].size());
    for (const auto& [token, id] : document["model"]["vocab"].items()) lines[id] = token;
    std::string vocabulary;
    for (const std::string& line : lines) vocabulary += line + "\n";
    const auto folder =
        folder_of(kind, {{"vocab.txt", vocabulary}, {"tokenizer_config.json", config}});
    expect_same(Tokenizer::from_pretrained(folder), Tokenizer::from_json(text, kind));
  }
}

TEST(Pretrained, ReadsRobertasVocabularyAndMerges) {
  const std::string text = with_special_tokens_only(golden_file("roberta"));
  const json model = json::parse(text)["model"];
  std::string merges = "#version: 0.2\n";
  for (const json& merge : model["merges"]) merges += merge.get<std::string>() + "\n";
  const auto folder =
      folder_of("roberta", {{"vocab.json", model["vocab"].dump()}, {"merges.txt", merges}});
  const Tokenizer tokenizer = Tokenizer::from_pretrained(folder);
  expect_same(tokenizer, Tokenizer::from_json(text, "roberta"));
  EXPECT_EQ(tokenizer.pad_id(), 1U);
  EXPECT_EQ(tokenizer.options().padding.id, 1U);
}

/// A protocol buffer's field of bytes.
std::string field(int number, const std::string& bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  for (std::size_t size = bytes.size();; size >>= 7) {
    out.push_back(static_cast<char>((size & 0x7F) | (size > 0x7F ? 0x80 : 0)));
    if (size <= 0x7F) break;
  }
  return out + bytes;
}

std::string scored(const std::string& piece, float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score);
  std::string number(1, static_cast<char>(2 << 3 | 5));
  for (int shift = 0; shift < 32; shift += 8) number.push_back(static_cast<char>(bits >> shift));
  return field(1, field(1, piece) + number);
}

TEST(Pretrained, ReadsXlmrsSentencePieceModel) {
  json document = json::parse(with_special_tokens_only(golden_file("xlmr")));
  json& vocabulary = document["model"]["vocab"];
  std::string model = scored("<unk>", 0) + scored("<s>", 0) + scored("</s>", 0);
  for (std::size_t i = 4; i + 1 < vocabulary.size(); ++i) {  // the last is <mask>
    const auto score = vocabulary[i][1].get<float>();
    vocabulary[i][1] = score;
    model += scored(vocabulary[i][0].get<std::string>(), score);
  }
  const json& charsmap = document["normalizer"]["normalizers"][0]["precompiled_charsmap"];
  model += field(2, std::string("\x18\x01", 2));  // model_type: Unigram
  model += field(3, field(2, decode_base64(charsmap.get<std::string>()).value()));
  const auto folder = folder_of("xlmr", {{"sentencepiece.bpe.model", model}});
  expect_same(Tokenizer::from_pretrained(folder), Tokenizer::from_json(document.dump(), "xlmr"));
}

TEST(Pretrained, IsSavedAndReadAgain) {
  const std::string text = golden_file("bert_uncased");
  const auto folder = folder_of(
      "saved", {{"tokenizer.json", text},
                {"special_tokens_map.json", R"({"pad_token": "[PAD]", "cls_token": "[CLS]"})"},
                {"added_tokens.json", R"({"추가": 2000})"},
                {"tokenizer_config.json",
                 R"({"model_max_length": 512, "padding_side": "left", "do_lower_case": true})"}});
  const Tokenizer first = Tokenizer::from_pretrained(folder);
  const auto copy = scratch_directory() / "saved-again";
  first.save_pretrained(copy);
  const Tokenizer second = Tokenizer::from_pretrained(copy);
  expect_same(second, first);
  EXPECT_EQ(second.max_length(), 512U);
  EXPECT_EQ(second.options().padding.side, Side::kLeft);
  EXPECT_EQ(second.special_tokens().at("cls_token"), "[CLS]");
  EXPECT_EQ(second.encode("x추가", {}).ids[2], *first.id_of("추가"));
}

TEST(Pretrained, ClassSetsLowerCaseAnewAsTransformersDoes) {
  const std::string config = R"({"tokenizer_class": "BertTokenizerFast", "do_lower_case": false})";
  const auto folder = folder_of("cased", {{"tokenizer.json", golden_file("bert_uncased")},
                                          {"tokenizer_config.json", config}});
  const Tokenizer cased = Tokenizer::from_pretrained(folder);
  const Tokenizer lower = Tokenizer::from_json(golden_file("bert_uncased"), "lower");
  EXPECT_NE(cased.encode("The", {}).ids, cased.encode("the", {}).ids);
  EXPECT_EQ(lower.encode("The", {}).ids, lower.encode("the", {}).ids);
}

TEST(Pretrained, IsNamedInYaml) {
  const auto folder = folder_of("yaml", {{"tokenizer.json", golden_file("roberta")}});
  const config::Node node = config::parse_yaml(
      "_target_: transformers.AutoTokenizer.from_pretrained\n"
      "pretrained_model_name_or_path: some/name\n",
      "test");
  const auto named = config::build<AutoTokenizer>(node, "tokenizer");
  std::string asked;
  const Tokenizer tokenizer =
      named->load([&](const std::string& name, const std::string& revision) {
        asked = name + "@" + revision;
        return folder;
      });
  EXPECT_EQ(asked, "some/name@main");
  EXPECT_GT(tokenizer.size(), 256U);
}

TEST(Pretrained, SaysWhatIsWrongWithAFolder) {
  EXPECT_THAT(error_of(scratch_directory() / "absent"), HasSubstr("no such folder"));
  EXPECT_THAT(error_of(folder_of("empty", {{"README.md", ""}})), HasSubstr("no tokenizer"));
  EXPECT_THAT(error_of(folder_of("half", {{"vocab.json", "{}"}})), HasSubstr("no merges.txt"));
  EXPECT_THAT(error_of(folder_of("no-cls", {{"vocab.txt", "a\nb\n"}})), HasSubstr("no `[CLS]`"));
  EXPECT_THAT(error_of(folder_of("cut", {{"sentencepiece.bpe.model", "\x0a\x7f"}})),
              HasSubstr("not a SentencePiece model"));
  const std::string whole = golden_file("bert_klue");
  EXPECT_THAT(error_of(folder_of("cut-json", {{"tokenizer.json", whole.substr(0, 900)}})),
              HasSubstr("tokenizer.json: not JSON"));
  EXPECT_THAT(
      error_of(folder_of("config", {{"tokenizer.json", whole}, {"tokenizer_config.json", "[1]"}})),
      HasSubstr("tokenizer_config.json: not a mapping"));
}

std::string error_of_json(const std::string& changes) {
  json document = json::parse(golden_file("bert_klue"));
  document.merge_patch(json::parse(changes));
  try {
    Tokenizer::from_json(document.dump(), "t.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(TokenizerJson, SaysWhereAndWhatIsWrong) {
  EXPECT_THAT(error_of_json(R"({"normalizer": {"type": "Nfc"}})"),
              HasSubstr("t.json: normalizer.type: no normalizer `Nfc` here"));
  EXPECT_THAT(error_of_json(R"({"normalizer": {"type": "Replace", "content": "",
                                               "pattern": {"Regex": "(", "String": null}}})"),
              HasSubstr("regular expression `(`"));
  EXPECT_THAT(error_of_json(R"({"model": {"vocab": {"a": -1}}})"), HasSubstr("token `a`"));
  EXPECT_THAT(error_of_json(R"({"model": {"vocab": {"a": 4000000000}}})"), HasSubstr("above"));
  EXPECT_THAT(error_of_json(R"({"model": {"type": "BPE", "merges": ["a"]}})"),
              HasSubstr("`a` is not two tokens"));
  EXPECT_THAT(error_of_json(R"({"model": {"unk_token": 3}})"),
              HasSubstr("t.json: model.unk_token: not a string"));
  EXPECT_THAT(error_of_json(R"({"post_processor": {"special_tokens": {"[SEP]": null}}})"),
              HasSubstr("[SEP]"));
  EXPECT_THAT(error_of_json(R"({"version": "2.0"})"), HasSubstr("`2.0` is not 1.0"));
}

TEST(Tokenizer, CountsBytesThatAreNotUtf8) {
  const Tokenizer tokenizer = Tokenizer::from_json(golden_file("roberta"), "roberta");
  const Encoding damaged = tokenizer.encode("the \xFF\xE2\x82 emotion", {});
  EXPECT_EQ(damaged.replaced, 2U);
  const Encoding whole = tokenizer.encode("the \xEF\xBF\xBD\xEF\xBF\xBD emotion", {});
  EXPECT_EQ(damaged.ids, whole.ids);
  EXPECT_EQ(damaged.offsets, whole.offsets);
  EXPECT_EQ(whole.replaced, 0U);
}

TEST(Tokenizer, PadsABatchToItsLongest) {
  const Tokenizer tokenizer = Tokenizer::from_json(golden_file("bert_klue"), "bert");
  EncodeOptions options;
  options.padding.strategy = PaddingStrategy::kLongest;
  options.padding.multiple_of = 4;
  const std::vector<std::string> texts = {"the", "the speech emotion"};
  const auto encodings = tokenizer.encode_batch(texts, options);
  const TokenBatch batch = stack(encodings);
  EXPECT_EQ(batch.rows, 2U);
  EXPECT_EQ(batch.columns % 4, 0U);
  EXPECT_EQ(batch.ids.size(), batch.rows * batch.columns);
  std::int64_t attended = 0;
  for (std::size_t i = 0; i < batch.columns; ++i) attended += batch.attention_mask[i];
  EXPECT_EQ(static_cast<std::size_t>(attended), tokenizer.encode("the", {}).size());
  const auto unpadded = tokenizer.encode_batch(texts, EncodeOptions{});
  EXPECT_THROW(stack(unpadded), DataError);
}

TEST(Tokenizer, CutsAndPadsToALengthAsTheOriginalDoes) {
  const Tokenizer tokenizer = Tokenizer::from_json(golden_file("bert_klue"), "bert");
  const auto options = tokenizer.options_of_length(8);
  for (const std::string& text : kTexts) {
    const Encoding encoding = tokenizer.encode(text, options);
    EXPECT_EQ(encoding.size(), 8U);
    EXPECT_EQ(encoding.ids[0], *tokenizer.id_of("[CLS]"));
  }
}

TEST(Tokenizer, RefusesLengthsThatCannotBe) {
  const Tokenizer tokenizer = Tokenizer::from_json(golden_file("bert_klue"), "bert");
  EXPECT_THROW(tokenizer.encode("the", tokenizer.options_of_length(1)), ConfigError);
  EncodeOptions options;
  options.truncation.strategy = TruncationStrategy::kLongestFirst;
  EXPECT_THROW(tokenizer.encode("the", options), ConfigError);  // neither side says how long
  options.truncation.max_length = 4;
  options.truncation.stride = 2;
  EXPECT_THROW(tokenizer.encode(kTexts[0], options), ConfigError);
  options.truncation.strategy = TruncationStrategy::kOnlySecond;
  EXPECT_THROW(tokenizer.encode(kTexts[0], options), ConfigError);
}

}  // namespace
}  // namespace polyphony::text
