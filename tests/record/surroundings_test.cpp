// What is recorded around a run: environment, machine, console.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/files.h>
#include <polyphony/base/terminal/terminal.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/record/console.h>
#include <polyphony/record/formats/mlflow_log.h>
#include <polyphony/record/secrets.h>
#include <polyphony/record/system.h>

#include "scratch_folder.h"

namespace polyphony::record {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;

TEST(Secrets, AreMaskedByName) {
  for (const char* name : {"WANDB_API_KEY", "aws_secret_access_key", "HF_TOKEN", "PGPASSWORD",
                           "NPM_AUTH", "SSH_PRIVATE", "SENTRY_DSN", "GOOGLE_CREDENTIALS"}) {
    EXPECT_EQ(mask_value(name, "x"), kMasked) << name;
  }
  for (const char* name : {"HOME", "PATH", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"}) {
    EXPECT_EQ(mask_value(name, "/usr/bin:2"), "/usr/bin:2") << name;
  }
}

TEST(Secrets, AreMaskedByForm) {
  for (const char* value :
       {"sk-abcdefghijklmnop1234", "hf_abcdefghijklmnopqrst", "ghp_abcdefghijklmnopqrstuvwxyz0123",
        "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.abc",
        "-----BEGIN RSA PRIVATE KEY-----", "0123456789abcdef0123456789abcdef01234567"}) {
    EXPECT_EQ(mask_value("HARMLESS", value), kMasked) << value;
  }
  EXPECT_EQ(mask_value("PROXY", "http://me:pw@proxy:3128/x"), "http://proxy:3128/x");
  EXPECT_EQ(mask_value("LONG", "/a/long/path/with/many/parts/and/no/secret/in/it"),
            "/a/long/path/with/many/parts/and/no/secret/in/it");
}

TEST(Secrets, EnvironmentIsSorted) {
  const std::array<const char*, 4> environment = {"B=2", "A_TOKEN=x", "A=1=2", nullptr};
  EXPECT_EQ(masked_environment(environment.data()),
            (Pairs{{"A", "1=2"}, {"A_TOKEN", "***"}, {"B", "2"}}));
}

TEST(Secrets, ConfigurationsAndCommandsAreMaskedByKey) {
  const config::Node config = config::parse_yaml(
      "{hub: {token: abc, url: 'https://u:p@h/x'}, tokenizer: bpe, max_tokens: 3, api_key: null}",
      "x");
  EXPECT_EQ(config::to_json(masked_config(config)),
            R"({"hub":{"token":"***","url":"https://h/x"},"tokenizer":"bpe","max_tokens":3,)"
            R"("api_key":null})");
  EXPECT_EQ(mask_assignments("train lr=1 +hub.token=abc 'a.password=x y'"),
            "train lr=1 +hub.token=*** 'a.password=*** y'");
}

TEST(System, TellsMachineAndLibraries) {
  const Pairs facts = system_facts();
  EXPECT_THAT(facts, Contains(Key("cpu")));
  EXPECT_THAT(facts, Contains(Key("version.sqlite")));
  SystemSampler sampler;
  const auto metrics = sampler.sample();
  ASSERT_EQ(metrics.at(1).name, "rss_bytes");
  EXPECT_GT(metrics[1].value, 1 << 20);
}

TEST(ConsoleTail, GivesWholeLinesAsATerminalShowsThem) {
  const Scratch scratch;
  const fs::path file = scratch.path() / "console.log";
  write_file(file, "before\n");
  ConsoleTail tail(file);
  std::ofstream out(file, std::ios::app);
  out << "one\n10%\r50%\r100%\r\n\x1b[1;31mred\x1b[0m \x1b]0;title\atext\nhalf" << std::flush;
  std::vector<std::string> lines;
  for (const ConsoleLine& line : tail.next()) lines.push_back(line.text);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "100%", "red text"}));
  EXPECT_TRUE(tail.next().empty());
  out << " done\n" << std::flush;
  ASSERT_EQ(tail.next().size(), 1U);
}

TEST(ConsoleCapture, PassesOnAndKeepsWhatIsPrinted) {
  const Scratch scratch;
  const fs::path file = scratch.path() / "console.log";
  const fs::path shown = scratch.path() / "shown";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (std::freopen(shown.c_str(), "w", stdout) == nullptr) _exit(2);
    {
      const ConsoleCapture capture(file);
      if (!capture.started()) _exit(3);
      std::printf("to out\n");
      std::fprintf(stderr, "to err\n");
      std::fflush(stdout);
      if (system("echo from a child") != 0) _exit(4);
    }
    std::printf("after\n");
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_THAT(read_file(file), testing::AllOf(HasSubstr("to out\n"), HasSubstr("from a child\n"),
                                              HasSubstr("to err\n"), Not(HasSubstr("after"))));
  EXPECT_EQ(read_file(shown), "to out\nfrom a child\nafter\n");
}

TEST(ConsoleCapture, OutlivesTheSignalThatStopsTheWholeGroup) {
  const Scratch scratch;
  const fs::path file = scratch.path() / "console.log";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    setpgid(0, 0);
    {
      const ConsoleCapture capture(file);
      // As a batch system does it; the run itself saves its state then.
      std::signal(SIGTERM, SIG_IGN);
      kill(0, SIGTERM);
      usleep(50'000);
      std::printf("state saved\n");
    }
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(file), "state saved\n");
}

TEST(ConsoleCapture, AKilledProcessSaysItsLastWords) {
  const Scratch scratch;
  const fs::path file = scratch.path() / "console.log";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const ConsoleCapture capture(file);
    std::printf("last words\n");
    std::fflush(stdout);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  // tee(1) goes on for a moment.
  for (int i = 0; i < 1000; ++i) {
    if (fs::exists(file) && read_file(file) == "last words\n") return;
    usleep(10'000);
  }
  FAIL() << "not in the file";
}

TEST(Terminal, IsThatBehindTheCapture) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const bool tty = terminal_info(1).tty;
  describe_terminal_of(1, ends[1]);
  EXPECT_FALSE(terminal_info(1).tty);
  describe_terminal_of(1, 1);
  EXPECT_EQ(terminal_info(1).tty, tty);
}

TEST(MlflowLog, HasMlflowsLayout) {
  const Scratch scratch;
  RunInfo run;
  run.name = "fusion";
  run.command = "polyphony train";
  MlflowOptions options;
  options.directory = scratch.path() / "mlruns";
  options.experiment = "emotions";
  options.tags = {{"who", "me"}};
  MlflowLog log(options, run);
  log.log_hyper_parameters(config::parse_yaml("{lr: 0.1, model: {dims: 8}}", "x"));
  log.log({9, 1, 1000.5, {{"train_loss", 0.5}}});
  log.log({19, 1, 1001.5, {{"train_loss", 0.25}}});
  log.finish(State::kFinished, "");
  const fs::path folder = log.directory();
  EXPECT_EQ(read_file(folder / "metrics/train_loss"), "1000500 0.5 9\n1001500 0.25 19\n");
  EXPECT_EQ(read_file(folder / "params/model/dims"), "8");
  EXPECT_EQ(read_file(folder / "tags/who"), "me");
  EXPECT_EQ(read_file(folder / "tags/mlflow.runName"), "fusion");
  const config::Node meta = config::load_yaml(folder / "meta.yaml");
  EXPECT_EQ(meta.find("status")->as_int(), 3);
  EXPECT_EQ(meta.find("run_id")->as_string(), folder.filename());
  const config::Node experiment = config::load_yaml(folder.parent_path() / "meta.yaml");
  EXPECT_EQ(experiment.find("name")->as_string(), "emotions");
  EXPECT_EQ(experiment.find("experiment_id")->as_string(),
            folder.parent_path().filename().string());
  // A second run finds the experiment; one that is named goes on.
  const MlflowLog second(options, run);
  EXPECT_EQ(second.directory().parent_path(), folder.parent_path());
  options.run_id = folder.filename();
  EXPECT_EQ(MlflowLog(options, run).directory(), folder);
}

}  // namespace
}  // namespace polyphony::record
