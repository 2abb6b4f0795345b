#include <csignal>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process.h"
#include "scratch.h"

namespace polyphony::job {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

/// A configuration tree of its own, and a directory to run the program in.
class Run : public testing::Test {
 protected:
  Run() : folder_(scratch_directory() / "app") {
    fs::remove_all(folder_);
    write("config.yaml",
          "defaults: [{model: small}, _self_]\nlr: 0.1\nsay: ''\nfail: ''\n"
          "crash: false\nwait: false\nhydra: {run: {dir: out}, sweep: {dir: mr}}\n");
    write("model/small.yaml", "width: 8\n");
    write("model/large.yaml", "width: 64\nnote: a b\n");
    write("model/head/linear.yaml", "{}\n");
  }

  void write(const std::string& name, const std::string& text) const {
    write_file(folder_ / "configs" / name, text);
  }
  Program program(std::vector<std::string> words) const {
    Program program{
        {POLYPHONY_JOB_APP, (folder_ / "configs").string(), "config", "null"}, cwd(), {}};
    program.command.insert(program.command.end(), words.begin(), words.end());
    return program;
  }
  Finished run(const std::vector<std::string>& words) const { return program(words).run(); }
  std::vector<std::string> complete(const std::string& line) const {
    Program asked = program({"-sc", "query=fish"});
    asked.environment["COMP_LINE"] = "app.py " + line;
    const Finished got = asked.run();
    EXPECT_EQ(got.exit_code, 0) << got.err;
    std::vector<std::string> found;
    std::istringstream stream(got.out);
    for (std::string text; std::getline(stream, text);) found.push_back(text);
    return found;
  }
  fs::path cwd() const { return folder_ / "cwd"; }
  std::string file(const std::string& name) const { return read_file(cwd() / name); }

  fs::path folder_;
};

TEST_F(Run, WritesTheJobLog) {
  const Finished got = run({"say=hello"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(file("out/app.log"), MatchesRegex("\\[[^]]*\\]\\[app\\.task\\]\\[INFO\\] - hello\n"));
  EXPECT_THAT(got.out, HasSubstr("[app.task][INFO] - hello"));
}

TEST_F(Run, LogsAsTheGroupsSay) {
  const Finished plain = run({"say=hello", "hydra/job_logging=stdout"});
  EXPECT_THAT(plain.out, HasSubstr("\nhello\n"));
  EXPECT_FALSE(fs::exists(cwd() / "out/app.log"));
  const Finished disabled = run({"say=hello", "hydra/job_logging=disabled"});
  EXPECT_EQ(disabled.exit_code, 0) << disabled.err;
  EXPECT_THAT(disabled.out, Not(HasSubstr("hello\n")));
  const Finished kept = run({"say=hello", "hydra/job_logging=none"});
  EXPECT_THAT(kept.out, HasSubstr("][HYDRA] hello")) << "hydra_logging's handlers stay";
}

TEST_F(Run, SetsTheEnvironmentForTheTask) {
  Program asked = program(
      {"+hydra.job.env_set.JOB_TEST=${lr}", "hydra.job.env_copy=[JOB_COPIED]", "+env=JOB_TEST"});
  asked.environment["JOB_COPIED"] = "c";
  const Finished got = asked.run();
  EXPECT_THAT(got.out, HasSubstr("\n0.1\n")) << got.err;
  EXPECT_THAT(file("out/.hydra/hydra.yaml"), HasSubstr("JOB_COPIED: c"));
}

TEST_F(Run, TellsWhichJobFailed) {
  const Finished got = run({"fail=no luck"});
  EXPECT_EQ(got.exit_code, 3) << "the error's own class decides";
  EXPECT_THAT(got.err, HasSubstr("Error executing job with overrides: ['fail=no luck']"));
  EXPECT_THAT(got.err, HasSubstr("no luck\n  do otherwise"));
}

TEST_F(Run, SaysMoreUnderHydraFullError) {
  Program asked = program({"lrr=1"});
  asked.environment["HYDRA_FULL_ERROR"] = "1";
  const Finished got = asked.run();
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_THAT(got.err, HasSubstr("class: ConfigCompositionException"));
  EXPECT_THAT(got.err, HasSubstr("key: lrr"));
}

TEST_F(Run, ShowsHydrasOwnConfiguration) {
  const Finished got = run({"--cfg", "hydra", "--package", "hydra.job"});
  EXPECT_EQ(
      got.out,
      "# @package hydra.job\nname: app\nchdir: null\noverride_dirname: ''\nid: ???\nnum: ???\n"
      "config_name: config\nenv_set: {}\nenv_copy: []\nconfig:\n  override_dirname:\n"
      "    kv_sep: '='\n    item_sep: ','\n    exclude_keys: []\n");
  EXPECT_THAT(run({"--cfg", "job", "-p", "nope"}).err, HasSubstr("package 'nope' not found"));
  EXPECT_EQ(run({"--cfg", "job", "-p", "lr"}).out, "0.1\n");
}

TEST_F(Run, RunsAgainFromTheFilesOfARun) {
  run({"lr=7", "say=first"});
  const Finished got = run({"--experimental-rerun", "out/.hydra", "lr=8"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(got.out, HasSubstr("\"lr\":7"));
  EXPECT_THAT(got.err, HasSubstr("Config overrides are not supported"));
  const Finished absent = run({"--experimental-rerun", "nowhere"});
  EXPECT_EQ(absent.exit_code, 1);
  EXPECT_THAT(absent.err, HasSubstr("File nowhere does not exist!"));
}

TEST_F(Run, RefusesTwoCommandsAtOnce) {
  const Finished got = run({"--cfg", "job", "-m"});
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_THAT(got.err, HasSubstr("Only one of --run, --multirun, --cfg, --info and"));
}

using Sweeps = Run;

TEST_F(Sweeps, AFailureLosesNoOtherJob) {
  const Finished got = run({"-m", "fail='',bad,''", "lr=1"});
  EXPECT_EQ(got.exit_code, 3);
  EXPECT_TRUE(fs::exists(cwd() / "mr/2/.hydra/config.yaml")) << "the job behind it ran";
  EXPECT_THAT(got.err, HasSubstr("1 of 3 jobs failed:\n  #1 : fail=bad lr=1: bad"));
}

TEST_F(Sweeps, RunInBatches) {
  const Finished got = run({"-m", "lr=1,2,3", "hydra.sweeper.max_batch_size=2"});
  EXPECT_THAT(got.out, HasSubstr("Launching 2 jobs locally"));
  EXPECT_THAT(got.out, HasSubstr("Launching 1 jobs locally"));
  EXPECT_THAT(got.out, HasSubstr("#2 : lr=3"));
}

TEST_F(Sweeps, RunSideBySideInProcessesOfTheirOwn) {
  const Finished got = run({"-m", "lr=1,2,3", "crash=false", "hydra.launcher.n_jobs=3"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(got.out, HasSubstr("Launching 3 jobs locally, 3 at once"));
  for (const char* number : {"0", "1", "2"}) {
    EXPECT_THAT(got.out, HasSubstr("#" + std::string(number) + " : done"));
    EXPECT_THAT(file("mr/" + std::string(number) + "/app.out"), HasSubstr("\"lr\":"));
  }
  EXPECT_THAT(got.out, Not(HasSubstr("\"lr\":"))) << "each job writes to its own file";
}

TEST_F(Sweeps, ACrashLosesOneJobOnly) {
  const Finished got = run({"-m", "crash=true,false", "hydra.launcher.n_jobs=2"});
  EXPECT_EQ(got.exit_code, 128 + SIGABRT);
  EXPECT_THAT(got.err, HasSubstr("1 of 2 jobs failed"));
  EXPECT_THAT(got.err, HasSubstr("ended by signal 6"));
  EXPECT_THAT(file("mr/1/app.out"), HasSubstr("\"crash\":false"));
}

TEST_F(Sweeps, StopOnASignalAndSayWhatWasNotRun) {
  const Program asked = program({"-m", "wait=true", "lr=1,2,3", "hydra.launcher.n_jobs=2"});
  const pid_t pid = asked.start();
  while (!fs::exists(cwd() / "mr/1/app.out") || file("mr/1/app.out").empty()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  kill(pid, SIGINT);
  const Finished got = asked.finish(pid);
  EXPECT_EQ(got.exit_code, 130);
  EXPECT_THAT(got.err, HasSubstr("2 of 3 jobs failed, 1 not run"));
  EXPECT_THAT(got.err, HasSubstr("#2 : wait=True lr=3: not run"));
}

TEST_F(Sweeps, RefuseWhatOnlyPythonHas) {
  write("hydra/sweeper/optuna.yaml", "_target_: hydra_plugins.optuna.OptunaSweeper\n");
  const Finished got = run({"-m", "lr=1,2", "hydra/sweeper=optuna"});
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_THAT(got.err, HasSubstr("hydra.sweeper: 'hydra_plugins.optuna.OptunaSweeper'"));
  EXPECT_THAT(run({"-m", "lr=1,2", "hydra.launcher.n_jobs=0"}).err,
              HasSubstr("hydra.launcher.n_jobs"));
}

using Completion = Run;
using testing::ElementsAre;

TEST_F(Completion, OffersGroupsKeysAndValues) {
  EXPECT_THAT(complete("mo"), ElementsAre("model", "model."));
  EXPECT_THAT(complete("model="), ElementsAre("model=large", "model=small"));
  EXPECT_THAT(complete("model=l"), ElementsAre("model=large"));
  EXPECT_THAT(complete("model/"), ElementsAre("model/head="));
  EXPECT_THAT(complete("+model/head="), ElementsAre("+model/head=linear"));
  EXPECT_THAT(complete("model."), ElementsAre("model.width="));
  EXPECT_THAT(complete("model=large model."), ElementsAre("model.note=", "model.width="));
  EXPECT_THAT(complete("model=large model.note="), ElementsAre("model.note=a b"));
  EXPECT_THAT(complete("lr="), ElementsAre("lr=0.1"));
  EXPECT_THAT(complete("crash="), ElementsAre("crash=false"));
  EXPECT_THAT(complete("hydra.job.ch"), ElementsAre("hydra.job.chdir="));
  EXPECT_THAT(complete("hydra/laun"), ElementsAre("hydra/launcher="));
}

TEST_F(Completion, OffersFlagsAndTheirValues) {
  EXPECT_THAT(complete("--mu"), ElementsAre("--multirun"));
  EXPECT_THAT(complete("--cfg "), ElementsAre("all", "hydra", "job"));
  EXPECT_THAT(complete("--info de"), ElementsAre("defaults", "defaults-tree"));
  EXPECT_THAT(complete("-cn "), ElementsAre("config"));
}

TEST_F(Completion, OffersFiles) {
  fs::create_directories(cwd() / "data");
  write_file(cwd() / "data/train.csv", "");
  EXPECT_THAT(complete("say=./data/tr"), ElementsAre("say=./data/train.csv"));
}

TEST_F(Completion, IsSilentWhereNothingComposes) {
  write("config.yaml", "defaults: [{model: ???}]\n");
  EXPECT_THAT(complete("mo"), ElementsAre("model"));
  EXPECT_THAT(complete("--nope x"), testing::IsEmpty());
}

TEST_F(Completion, NamesItsShells) {
  EXPECT_THAT(run({"-sc", "install=bash"}).out, HasSubstr("complete -o nospace"));
  EXPECT_THAT(run({"-sc", "uninstall=bash"}).out, HasSubstr("complete -r app.py"));
  const Finished got = run({"-sc", "install=ksh"});
  EXPECT_EQ(got.exit_code, 2);
  EXPECT_THAT(got.err, HasSubstr("available : bash, zsh, fish"));
}

}  // namespace
}  // namespace polyphony::job
