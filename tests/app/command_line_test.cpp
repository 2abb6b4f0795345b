// The program's verbs as a user types them.
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process.h"
#include "scratch.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class CommandLine : public testing::Test {
 protected:
  CommandLine() : cwd_(scratch_directory() / "command-line") {
    fs::remove_all(cwd_);
    fs::create_directories(cwd_);
    fs::create_directory_symlink(fs::path(POLYPHONY_SOURCE_DIR) / "configs", cwd_ / "configs");
  }

  Program program(std::vector<std::string> command) const {
    const std::string path = fs::path(POLYPHONY_BINARY).parent_path().string();
    Program program{std::move(command), cwd_, {}};
    program.environment["PATH"] = path + ":" + std::getenv("PATH");
    program.environment["XDG_DATA_HOME"] = (cwd_ / "share").string();
    return program;
  }
  Finished run(std::vector<std::string> words) const {
    words.insert(words.begin(), POLYPHONY_BINARY);
    return program(std::move(words)).run();
  }
  /// Lines that a shell prints for a script.
  std::vector<std::string> shell(const std::vector<std::string>& command) const {
    const Finished got = program(command).run();
    EXPECT_EQ(got.exit_code, 0) << got.err;
    std::vector<std::string> lines;
    std::istringstream stream(got.out);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  }
  static bool has(const char* shell) {
    return std::system((std::string("command -v ") + shell + " > /dev/null 2>&1").c_str()) == 0;
  }

  fs::path cwd_;
};

TEST_F(CommandLine, TellsVersionsAndWhatItComputesWith) {
  const Finished got = run({"--version"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(got.out, testing::StartsWith("polyphony "));
  for (const char* name : {"LibTorch", "oneDNN", "BLAS", "OpenMP", "compute", "devices"}) {
    EXPECT_THAT(got.out, testing::ContainsRegex(std::string("\n") + name + " +[^ \n]"));
  }
}

TEST_F(CommandLine, ShowsAVerbsFlagsGroupsAndConfiguration) {
  const Finished got = run({"train", "--help"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(got.out, HasSubstr("polyphony train: train, then test the best checkpoint."));
  EXPECT_THAT(got.out, HasSubstr("--multirun,-m : "));
  EXPECT_THAT(got.out, HasSubstr("task: audio, fusion, text\n"));
  EXPECT_THAT(got.out, HasSubstr("run_name: experiment\n"));
}

TEST_F(CommandLine, ComposesUnderHydrasFlags) {
  const Finished part = run({"train", "--cfg", "job", "-p", "loading"});
  EXPECT_EQ(part.out, "# @package loading\nbatch_size: 32\nworkers: 2\n") << part.err;
  const Finished mixed = run({"train", "lr=1", "--cfg", "job", "--package", "lr", "epochs=2"});
  EXPECT_EQ(mixed.out, "1\n") << "overrides and flags in any order: " << mixed.err;
  const Finished wrong = run({"train", "learning_rate=1"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("learning_rate"));
  EXPECT_EQ(run({"train", "--nope"}).exit_code, 2);
}

TEST_F(CommandLine, NeedsNoLibTorchToShow) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--help"},
                                                {"train", "--help"},
                                                {"train", "--cfg", "all"},
                                                {"train", "--info", "defaults-tree"},
                                                {"--shell-completion", "query=fish"}}) {
    std::vector<std::string> command{POLYPHONY_BINARY};
    command.insert(command.end(), words.begin(), words.end());
    Program asked = program(command);
    asked.environment["LD_DEBUG"] = "files";
    asked.environment["COMP_LINE"] = "polyphony train task=";
    const Finished got = asked.run();
    EXPECT_EQ(got.exit_code, 0) << got.err;
    EXPECT_THAT(got.err, HasSubstr("libpolyphony_core")) << "else this test sees nothing";
    EXPECT_THAT(got.err, Not(HasSubstr("libtorch"))) << words[0];
  }
}

TEST_F(CommandLine, OpensNoLibraryOfMediaToCompose) {
  Program asked = program({POLYPHONY_BINARY, "compose"});
  asked.environment["LD_DEBUG"] = "files";
  const Finished got = asked.run();
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(got.err, HasSubstr("libpolyphony_core")) << "else this test sees nothing";
  for (const char* library :
       {"polyphony_media", "libcurl", "libcrypto", "libsndfile", "libsqlite"}) {
    EXPECT_THAT(got.err, Not(HasSubstr(library)));
  }
}

TEST_F(CommandLine, LoadsTheNearestDotenv) {
  write_file(cwd_ / ".env", "RUN_TITLE='from .env'\n");
  const std::vector<std::string> words{"train", "--cfg",    "job",
                                       "-p",    "run_name", "run_name=${oc.env:RUN_TITLE}"};
  EXPECT_EQ(run(words).out, "from .env\n");
  std::vector<std::string> command = words;
  command.insert(command.begin(), POLYPHONY_BINARY);
  Program asked = program(command);
  asked.environment["RUN_TITLE"] = "from outside";
  EXPECT_EQ(asked.run().out, "from outside\n");
  asked.environment["POLYPHONY_DOTENV_OVERRIDE"] = "1";
  EXPECT_EQ(asked.run().out, "from .env\n");
}

TEST_F(CommandLine, ASweepSaysWhichJobsFailed) {
  const Finished got = run({"test", "-m", "ckpt_path=a.ckpt,b.ckpt", "run_name=sweep",
                            "hydra.sweep.dir=out", "dataset.manifest=none.csv"});
  EXPECT_NE(got.exit_code, 0);
  EXPECT_THAT(got.out, HasSubstr("#1 : ckpt_path=b.ckpt run_name=sweep"));
  EXPECT_THAT(got.err, HasSubstr("2 of 2 jobs failed:\n  #0 : ckpt_path=a.ckpt"));
  EXPECT_TRUE(fs::exists(cwd_ / "out/1/.hydra/config.yaml"));
  EXPECT_THAT(read_file(cwd_ / "out/1/test.log"), HasSubstr("[ERROR] - b.ckpt: cannot open"));
}

TEST_F(CommandLine, ARunNeverOverwritesAnother) {
  const std::vector<std::string> words{"vote", "hydra.run.dir=out"};
  run(words);
  run(words);
  EXPECT_TRUE(fs::exists(cwd_ / "out/vote.log"));
  EXPECT_TRUE(fs::exists(cwd_ / "out-1/vote.log"));
}

// clang-format off
const char* const kBash = R"sh(eval "$(polyphony --shell-completion install=bash)"
COMP_LINE="$1"
COMP_POINT=${#1}
COMP_WORDS=($1)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
complete -p polyphony > /dev/null
_polyphony_complete polyphony
printf '%s\n' "${COMPREPLY[@]}")sh";
// clang-format on

TEST_F(CommandLine, CompletesInBash) {
  const auto complete = [&](const std::string& line) {
    return shell({"bash", "-c", kBash, "bash", line});
  };
  EXPECT_THAT(complete("polyphony tr"), ElementsAre("train"));
  EXPECT_THAT(complete("polyphony data "), Contains("check"));
  EXPECT_THAT(complete("polyphony train --mult"), ElementsAre("--multirun"));
  EXPECT_THAT(complete("polyphony train tas"), ElementsAre("task.", "task="));
  EXPECT_THAT(complete("polyphony train task="), ElementsAre("audio", "fusion", "text"))
      << "bash has kept what stands before the break";
  EXPECT_THAT(complete("polyphony train task=text loading.wo"), ElementsAre("loading.workers="));
  EXPECT_THAT(complete("polyphony train loading.workers="), ElementsAre("2"));
}

TEST_F(CommandLine, CompletesInZsh) {
  if (!has("zsh")) GTEST_SKIP() << "zsh is not installed";
  // clang-format off
  const char* script = R"sh(compdef() { : }
compadd() { print -l -- "${@:4}" }
eval "$(polyphony --shell-completion install=zsh)"
BUFFER="$1"; CURSOR=${#1}; words=(${=1})
_polyphony_complete)sh";
  // clang-format on
  EXPECT_THAT(shell({"zsh", "-f", "-c", script, "zsh", "polyphony train task="}),
              ElementsAre("task=audio", "task=fusion", "task=text"));
}

TEST_F(CommandLine, CompletesInFish) {
  if (!has("fish")) GTEST_SKIP() << "fish is not installed";
  EXPECT_THAT(shell({"fish", "--no-config", "-c",
                     "polyphony --shell-completion install=fish | source; "
                     "complete -C 'polyphony train task='"}),
              ElementsAre("task=audio", "task=fusion", "task=text"));
}

TEST_F(CommandLine, ModelsOfTheHubComeFromTheCacheOffline) {
  Program hub = program({POLYPHONY_BINARY, "hub", "fetch", "acme/tiny"});
  hub.environment["HF_HOME"] = (cwd_ / "hf").string();
  hub.environment["HF_HUB_OFFLINE"] = "1";
  const Finished missing = hub.run();
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(missing.err, HasSubstr("polyphony hub fetch acme/tiny"));
  const fs::path model = cwd_ / "hf/hub/models--acme--tiny";
  const fs::path folder = model / "snapshots" / std::string(40, 'c');
  fs::create_directories(folder);
  write_file(folder / "config.json", std::string_view("{}"));
  write_file(folder / "model.safetensors", std::string_view("x"));
  write_file(model / "refs/main", std::string(40, 'c'));
  EXPECT_EQ(hub.run().out, folder.string() + "\n");
  hub.command = {POLYPHONY_BINARY, "hub", "list"};
  EXPECT_THAT(hub.run().out, HasSubstr("acme/tiny  main"));
}

}  // namespace
}  // namespace polyphony
