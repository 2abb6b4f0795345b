// What Hugging Face's library answers (tests/tools/tokenizers/generate.mjs), token by token.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/base64.h>
#include <polyphony/base/error.h>
#include <polyphony/text/tokenizer.h>

#include "golden.h"

namespace polyphony::text {
namespace {

using nlohmann::json;

EncodeOptions options_of(const json& given) {
  EncodeOptions options;
  options.add_special_tokens = given.value("special", true);
  if (given.contains("max_length")) {
    const auto strategy = given["strategy"].get<std::string>();
    options.truncation.strategy = strategy == "OnlyFirst" ? TruncationStrategy::kOnlyFirst
                                                          : TruncationStrategy::kLongestFirst;
    options.truncation.max_length = given["max_length"];
    options.truncation.stride = given.value("stride", 0U);
    options.truncation.side = given.value("side", "Right") == "Left" ? Side::kLeft : Side::kRight;
  }
  if (given.contains("pad")) {
    options.padding.strategy = PaddingStrategy::kMaxLength;
    options.padding.length = given["pad"];
    options.padding.multiple_of = given.value("multiple", 0U);
    options.padding.side = given.value("pad_side", "Right") == "Left" ? Side::kLeft : Side::kRight;
    options.padding.id = 1;
  }
  return options;
}

/// An encoding in the form of the cases.
json show(const Encoding& encoding, const Tokenizer& tokenizer) {
  json offsets = json::array(), overflow = json::array();
  for (const Span& span : encoding.offsets) {
    offsets.push_back(span.begin);
    offsets.push_back(span.end);
  }
  for (const Encoding& window : encoding.overflow) overflow.push_back(window.ids);
  const std::string decoded = tokenizer.decode(encoding.ids, Tokenizer::SpecialTokens::kSkip);
  return {{"ids", encoding.ids},
          {"types", encoding.type_ids},
          {"attention", encoding.attention_mask},
          {"special", encoding.special_tokens_mask},
          {"offsets", offsets},
          {"words", encoding.words},
          {"overflow", overflow},
          {"decoded", decoded}};
}

json answer(const Tokenizer& tokenizer, const json& wanted) {
  const std::string text = wanted.contains("bytes")
                               ? decode_base64(wanted["bytes"].get<std::string>()).value()
                               : wanted["text"].get<std::string>();
  const std::string second = wanted.value("pair", "");
  TextPair pair{text};
  if (wanted.contains("pair")) pair.second = second;
  try {
    return show(tokenizer.encode(pair, options_of(wanted["options"])), tokenizer);
  } catch (const Error& error) {
    return {{"error", error.what()}};
  }
}

/// Every case of a kind. @return how many there were
std::size_t compare(const std::filesystem::path& kind) {
  std::ifstream document(kind / "tokenizer.json");
  const std::string text(std::istreambuf_iterator<char>(document), {});
  const Tokenizer tokenizer = Tokenizer::from_json(text, (kind / "tokenizer.json").string());
  std::ifstream lines(kind / "cases.jsonl");
  std::size_t count = 0, wrong = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const json wanted = json::parse(line);
    const json got = answer(tokenizer, wanted);
    if (wanted["want"].contains("error") ? got.contains("error") : got == wanted["want"]) continue;
    constexpr std::size_t kShown = 3;
    if (++wrong > kShown) continue;
    for (const auto& [key, value] : wanted["want"].items()) {
      if (got.value(key, json()) == value) continue;
      ADD_FAILURE() << kind.filename() << " case " << count << ", " << key << "\n  of   "
                    << (wanted.contains("text") ? wanted["text"] : wanted["bytes"]).dump()
                    << (wanted.contains("pair") ? " and " + wanted["pair"].dump() : "") << " "
                    << wanted["options"].dump() << "\n  want " << value.dump() << "\n  got  "
                    << got.value(key, got).dump(-1, ' ', false, json::error_handler_t::replace);
    }
  }
  EXPECT_EQ(wrong, 0U) << kind.filename() << ": of " << count;
  return count;
}

std::vector<std::filesystem::path> kinds_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> kinds;
  if (!std::filesystem::is_directory(folder)) return kinds;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (std::filesystem::exists(entry.path() / "cases.jsonl")) kinds.push_back(entry.path());
  }
  std::sort(kinds.begin(), kinds.end());
  return kinds;
}

TEST(TokenizerGolden, AgreesWithTheLibrary) {
  const auto kinds = kinds_in(std::filesystem::path(POLYPHONY_TEST_DIR) / "golden/tokenizers");
  std::size_t cases = 0;
  for (const auto& kind : kinds) cases += compare(kind);
  std::cout << cases << " cases of " << kinds.size() << " tokenizers\n";
  EXPECT_GT(cases, 0U);
}

/// Cases made for the occasion: POLYPHONY_TOKENIZER_CASES names a folder that generate.mjs wrote.
TEST(TokenizerGoldenSlow, AgreesOnManyTexts) {
  const char* folder = std::getenv("POLYPHONY_TOKENIZER_CASES");
  if (folder == nullptr)
    GTEST_SKIP() << "POLYPHONY_TOKENIZER_CASES is not set: tests/tools/tokenizers/compare sets it";
  std::size_t cases = 0;
  for (const auto& kind : kinds_in(folder)) cases += compare(kind);
  std::cout << cases << " cases\n";
  EXPECT_GT(cases, 0U);
}

}  // namespace
}  // namespace polyphony::text
