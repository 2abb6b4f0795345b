#include <polyphony/text/reference_text.h>

#include <cstdio>
#include <filesystem>

#include <golden.h>
#include <gtest/gtest.h>

namespace polyphony::text {
namespace {

TEST(ReferenceText, KeepsLatinHangulDigitsAndThreeMarks) {
  EXPECT_EQ(reference_text("b/ 몰라. o/ b/ 아 몰라 어떡해. o/\n"),
            "b 몰라. o b 아 몰라 어떡해. o ");
  EXPECT_EQ(reference_text("n/ 지섭씨. 일단 112에 신고하자.\n"), "n 지섭씨. 일단 112에 신고하자. ");
  EXPECT_EQ(reference_text("ㄱㅎ!?.aZ09"), "ㄱㅎ!?.aZ09");
}

TEST(ReferenceText, EveryRunOfAnythingElseIsOneBlank) {
  EXPECT_EQ(reference_text("가 \t\n  나"), "가 나");
  EXPECT_EQ(reference_text("ㅏㅣ"), " ");  // vowels alone are not among what is kept
  EXPECT_EQ(reference_text("é漢字😀x"), " x");
  EXPECT_EQ(reference_text(""), "");
}

TEST(ReferenceText, BytesThatAreNoUtf8AreBlanks) {
  EXPECT_EQ(reference_text("a\xff\xfe"
                           "b\xea\xb0"),
            "a b ");
}

// The cases hold lines of a licensed corpus and are not in the project.
TEST(ReferenceText, AgreesWithTheOriginalCaseByCase) {
  const auto path = golden_dir() / "data" / "dataset.json";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path << ": set POLYPHONY_GOLDEN_DIR";
  int cases = 0;
  const nlohmann::json golden = golden_json("data/dataset.json");
  for (const auto& one : golden.at("normalize")) {
    if (!one.at("input").is_string()) continue;
    ++cases;
    EXPECT_EQ(reference_text(one.at("input").get<std::string>()), one.at("output"));
  }
  std::printf("%d cases of the original's cleaning\n", cases);
}

}  // namespace
}  // namespace polyphony::text
