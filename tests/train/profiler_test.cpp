#include <polyphony/train/profiler.h>

#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <scratch.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/files.h>

namespace polyphony::train {
namespace {

TEST(Profiler, TellsTheShareOfEachActionLongestFirst) {
  double now = 0;
  Profiler profiler(ProfilerName::kSimple, "", [&now] { return now; });
  const auto spend = [&](const char* name, double seconds) {
    const Profiler::Action action(profiler, name);
    now += seconds;
  };
  profiler.start();
  spend("optimizer_step", 1.0);
  spend("training_step", 2.0);
  spend("training_step", 4.0);
  now += 1.0;
  EXPECT_EQ(profiler.table(),
            "action                                    calls        mean ms      total s    share\n"
            "training_step                                 2      3000.0000       6.0000   75.00%\n"
            "optimizer_step                                1      1000.0000       1.0000   12.50%\n"
            "total                                                                8.0000\n");
}

TEST(Profiler, WritesATraceThatChromeReads) {
  const std::filesystem::path folder = scratch_directory() / "profiler";
  std::filesystem::create_directories(folder);
  Profiler profiler(ProfilerName::kPytorch, folder);
  profiler.start();
  at::matmul(at::ones({4, 4}), at::ones({4, 4}));
  profiler.finish();
  const auto trace = nlohmann::json::parse(read_file(folder / "profile.trace.json"));
  ASSERT_TRUE(trace.is_array());
  EXPECT_THAT(trace, ::testing::Contains(::testing::ResultOf(
                         [](const nlohmann::json& event) { return event.value("name", ""); },
                         ::testing::HasSubstr("matmul"))));
}

}  // namespace
}  // namespace polyphony::train
