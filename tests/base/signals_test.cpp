#include <polyphony/base/signals.h>

#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include <gmock/gmock.h>

namespace polyphony {
namespace {

using Meaning = StopRequests::Meaning;

struct Arrival {
  int number;
  Sender sender;
  double seconds;
  int order = 0;
};

struct Case {
  const char* what;
  std::vector<Arrival> arrivals;
  std::vector<Meaning> meanings;
  int strongest;
};

TEST(StopRequests, TellsCopiesFromNewRequests) {
  using enum Sender;
  using enum StopRequests::Meaning;
  const std::vector<Case> cases = {
      {"one Ctrl-C", {{SIGINT, kTerminal, 0}}, {kStop}, SIGINT},
      {"a second Ctrl-C, at once",
       {{SIGINT, kTerminal, 0}, {SIGINT, kTerminal, 0.1}},
       {kStop, kAtOnce},
       SIGINT},
      {"a second Ctrl-C, much later",
       {{SIGINT, kTerminal, 0}, {SIGINT, kTerminal, 60}},
       {kStop, kAtOnce},
       SIGINT},
      {"Ctrl-C and our launcher's copy, however late",
       {{SIGINT, kTerminal, 0}, {SIGINT, kLauncher, 30, 1}},
       {kStop, kCopy},
       SIGINT},
      {"our launcher's copy before the terminal's",
       {{SIGINT, kLauncher, 0, 1}, {SIGINT, kTerminal, 0.2}},
       {kStop, kCopy},
       SIGINT},
      {"two Ctrl-C, each with our launcher's copy",
       {{SIGINT, kTerminal, 0}, {SIGINT, kLauncher, 0.1, 1}, {SIGINT, kLauncher, 5, 2}},
       {kStop, kCopy, kAtOnce},
       SIGINT},
      {"torchrun's SIGTERM behind the batch system's",
       {{SIGTERM, kOther, 0}, {SIGTERM, kParent, 4}},
       {kStop, kCopy},
       SIGTERM},
      {"Ctrl-C, which mpirun hands on as SIGTERM",
       {{SIGINT, kTerminal, 0}, {SIGTERM, kParent, 2}},
       {kStop, kCopy},
       SIGTERM},
      {"`timeout` signals child and group",
       {{SIGTERM, kParent, 0}, {SIGTERM, kParent, 0.001}},
       {kStop, kCopy},
       SIGTERM},
      {"a parent's second request",
       {{SIGTERM, kParent, 0}, {SIGTERM, kParent, 8}},
       {kStop, kAtOnce},
       SIGTERM},
      {"systemd's SIGTERM and SIGHUP",
       {{SIGTERM, kOther, 0}, {SIGHUP, kOther, 0.001}},
       {kStop, kCopy},
       SIGTERM},
      {"two kills at a moment",
       {{SIGTERM, kOther, 0}, {SIGTERM, kOther, 0.5}},
       {kStop, kCopy},
       SIGTERM},
      {"two kills", {{SIGTERM, kOther, 0}, {SIGTERM, kOther, 3}}, {kStop, kAtOnce}, SIGTERM},
      {"a kill, then Ctrl-C",
       {{SIGTERM, kOther, 0}, {SIGINT, kTerminal, 9}},
       {kStop, kAtOnce},
       SIGTERM},
      {"Slurm's warning, its limit, and an impatient user",
       {{SIGUSR1, kParent, 0},
        {SIGUSR1, kParent, 5},
        {SIGTERM, kParent, 90},
        {SIGTERM, kOther, 99}},
       {kStop, kCopy, kStop, kAtOnce},
       SIGTERM},
      {"a closed terminal, told thrice",
       {{SIGHUP, kTerminal, 0}, {SIGHUP, kOther, 2}, {SIGHUP, kTerminal, 4}},
       {kStop, kCopy, kCopy},
       SIGHUP},
      {"a warning, then Ctrl-C: no requeue",
       {{SIGUSR1, kOther, 0}, {SIGINT, kTerminal, 3}},
       {kStop, kStop},
       SIGINT}};
  for (const Case& one : cases) {
    StopRequests requests;
    std::vector<Meaning> meanings;
    for (const Arrival& arrival : one.arrivals) {
      meanings.push_back(
          requests.note(arrival.number, arrival.sender, arrival.seconds, arrival.order));
    }
    EXPECT_EQ(meanings, one.meanings) << one.what;
    EXPECT_EQ(requests.strongest(), one.strongest) << one.what;
  }
}

TEST(StopSignals, EachIsTheExitCodeItStandsFor) {
  for (const int number : kStopSignals) {
    EXPECT_EQ(signal_of_strength(strength_of(number)), number);
    EXPECT_EQ(stop_signal_of(static_cast<int>(Interrupted(number, "a.ckpt").exit_code())), number);
  }
  EXPECT_EQ(stop_signal_of(0), 0);
  EXPECT_EQ(stop_signal_of(5), 0);
  EXPECT_EQ(stop_signal_of(128 + SIGKILL), 0);
}

TEST(StopSignals, WhatWasAskedForOutlivesAnInnerOne) {
  const StopSignals outer;
  raise(SIGTERM);
  EXPECT_EQ(StopSignals::requested(), SIGTERM);
  {
    const StopSignals inner;
    EXPECT_EQ(StopSignals::requested(), SIGTERM);
  }
  EXPECT_EQ(StopSignals::requested(), SIGTERM);
  EXPECT_THROW(stop_if_requested(), Interrupted);
}

TEST(StopSignals, AreForgottenWithTheOutermost) {
  {
    const StopSignals signals;
    raise(SIGINT);
  }
  EXPECT_EQ(StopSignals::requested(), 0);
  EXPECT_NO_THROW(stop_if_requested());
}

/// The wait status of a child that does `work` and then exits with 7.
template <class Work>
int status_of(Work work) {
  const pid_t pid = fork();
  if (pid == 0) {
    work();
    _exit(7);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

TEST(StopSignals, AnIgnoredHangUpStaysIgnored) {
  const int status = status_of([] {
    std::signal(SIGHUP, SIG_IGN);
    const StopSignals signals;
    raise(SIGHUP);
    if (StopSignals::requested() != 0) _exit(1);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(StopSignals, ASecondRequestEndsTheProcess) {
  const int status = status_of([] {
    const StopSignals signals;
    hand_on(getpid(), SIGTERM, 1);
    while (StopSignals::requested() == 0) {
    }
    // Nobody's copy comes more than a second later.
    while (true) raise(SIGTERM);
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

TEST(StopSignals, AChildOfAForkBeginsAnew) {
  const StopSignals signals;
  raise(SIGTERM);
  const int status = status_of([] {
    StopSignals::forget();
    if (StopSignals::requested() != 0) _exit(1);
    const StopSignals own;
    raise(SIGUSR1);
    if (StopSignals::requested() != SIGUSR1) _exit(2);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(StopSignals::requested(), SIGTERM);
}

TEST(StopSignals, WhatComesWhileTheyAreHeldComesAfterwards) {
  const StopSignals signals;
  HeldSignals held;
  raise(SIGTERM);
  EXPECT_EQ(StopSignals::requested(), 0);
  held.release();
  EXPECT_EQ(StopSignals::requested(), SIGTERM);
}

}  // namespace
}  // namespace polyphony
