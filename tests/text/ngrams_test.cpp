#include <polyphony/text/ngrams.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>

namespace polyphony::text {
namespace {

using testing::AllOf;
using testing::Each;
using testing::Ge;
using testing::Lt;

TEST(HashedNgrams, StandAtEveryCodePointAndBothBlanks) {
  const auto hashes = hashed_ngrams(
      "\xC5\x99"
      "a",
      {3}, 1000);
  ASSERT_EQ(hashes.size(), 4U * 3U);
  EXPECT_EQ(hashes[0], hashes[9]);  // the two blanks are one 1-gram
  EXPECT_NE(hashes[0], hashes[1]);
}

TEST(HashedNgrams, AreZeroOnlyWhereTheTextEnds) {
  const auto hashes = hashed_ngrams("ab", {3}, 1000);
  const std::vector<bool> zero = {false, false, false, false, false, false,
                                  false, false, true,  false, true,  true};
  for (std::size_t i = 0; i < zero.size(); ++i) EXPECT_EQ(hashes[i] == 0, zero[i]) << i;
}

TEST(HashedNgrams, StayInTheBuckets) {
  EXPECT_THAT(hashed_ngrams("the quick brown fox", {1}, 7), Each(AllOf(Ge(1), Lt(7))));
  EXPECT_THAT(hashed_ngrams("abc", {1}, 2), Each(1));
}

TEST(HashedNgrams, DependOnlyOnTheirOwnCharacters) {
  const auto one = hashed_ngrams("xab", {2}, 1 << 16);
  const auto two = hashed_ngrams("yyabz", {2}, 1 << 16);
  EXPECT_EQ(one[2 * 2 + 1], two[3 * 2 + 1]);  // "ab"
  EXPECT_EQ(one[3 * 2], two[4 * 2]);          // "b"
}

TEST(HashedNgrams, OfAnEmptyTextAreTheBlanks) { EXPECT_EQ(hashed_ngrams("", {2}, 100).size(), 4U); }

TEST(HashedNgrams, OfWordsStandWhereTheyBegin) {
  const auto hashes = hashed_ngrams("ab, c", {1, 2}, 1 << 16);  // words: "ab" "," "c"
  ASSERT_EQ(hashes.size(), 7U * 3U);
  const auto word = [&](std::size_t position, std::size_t n) { return hashes[position * 3 + n]; };
  const std::vector<bool> begins = {false, true, false, true, false, true, false};
  for (std::size_t at = 0; at < begins.size(); ++at) EXPECT_EQ(word(at, 1) != 0, begins[at]) << at;
  EXPECT_NE(word(1, 2), 0);
  EXPECT_EQ(word(5, 2), 0);  // no word follows
  EXPECT_NE(word(5, 1), word(5, 0));
  const auto other = hashed_ngrams("x ab", {1, 2}, 1 << 16);
  EXPECT_EQ(other[3 * 3 + 1], word(1, 1));  // "ab"
}

TEST(HashedNgrams, RejectOptionsOutOfRange) {
  EXPECT_THROW(hashed_ngrams("a", {0}, 10), ConfigError);
  EXPECT_THROW(hashed_ngrams("a", {1}, 1), ConfigError);
  EXPECT_THROW(hashed_ngrams("a", {1, -1}, 10), ConfigError);
}

}  // namespace
}  // namespace polyphony::text
