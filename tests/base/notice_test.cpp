#include <polyphony/base/notice.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "notices.h"

namespace polyphony {
namespace {

TEST(Notice, IsPrintedToTheStreamOfItsKind) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  inform("weights: {}", "a.pt");
  note("{} rows left out", 3);
  notify(Notice::kNote, "a\tb\n");
  warn("{}", "a {brace}");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "weights: a.pt\n");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "3 rows left out\na\tb\nwarning: a {brace}\n");
}

TEST(Notice, GoesToTheSinkThatIsSetAsLongAsItIs) {
  testing::internal::CaptureStderr();
  {
    const Notices notices;
    warn("kept");
    note("beside");
    EXPECT_THAT(notices.warnings(), testing::ElementsAre("kept"));
  }
  warn("printed");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "warning: printed\n");
}

}  // namespace
}  // namespace polyphony
