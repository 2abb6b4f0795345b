#include <polyphony/text/normalize.h>

#include <iostream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "golden.h"

namespace polyphony::text {
namespace {

TEST(Normalize, ComposesLowersAndCollapses) {
  EXPECT_EQ(normalize("  P\xC5\x98\xC3\x8DLI\xC5\xA0 \t\n \xEF\xBC\xA1 "),
            "p\xC5\x99\xC3\xADli\xC5\xA1 a");  // full-width A is compatible with A
  EXPECT_EQ(normalize("e\xCC\x81"), "\xC3\xA9");
}

TEST(Normalize, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(normalize("a\xFF"
                      "b\xC3"),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
}

TEST(Normalize, CollapsesUnicodeSpaces) {
  NormalizeOptions options;
  options.nfkc = false;
  EXPECT_EQ(normalize("a\xC2\xA0\xE3\x80\x80"
                      "b",
                      options),
            "a b");
}

TEST(Normalize, KeepsWhatOptionsKeep) {
  EXPECT_EQ(normalize(" A  \xEF\xBC\xA1\n", {false, false, false}), " A  \xEF\xBC\xA1\n");
}

TEST(Normalize, KeepsCodePointsBeyondTheFirstPlane) {
  EXPECT_EQ(normalize("\xF0\x9F\x90\x9F  \xF0\x9F\x90\x9F"), "\xF0\x9F\x90\x9F \xF0\x9F\x90\x9F");
}

TEST(Normalize, CleansAsTheOriginalDoes) {
  const nlohmann::json cases = golden_json("data/dataset.json")["normalize"];
  std::size_t compared = 0;
  for (const nlohmann::json& item : cases) {
    if (!item["input"].is_string()) continue;  // Python's str() of a number or of None
    const std::string input = item["input"], output = item["output"];
    EXPECT_EQ(clean_kemdy19(input), output) << input;
    EXPECT_EQ(normalize(input, {false, false, false, Cleaning::kKemdy19}), output) << input;
    ++compared;
  }
  std::cout << compared << " cases\n";
  EXPECT_GT(compared, 0U);
}

TEST(Normalize, OfBlanksIsEmpty) { EXPECT_EQ(normalize(" \n\t "), ""); }

}  // namespace
}  // namespace polyphony::text
