#include <polyphony/base/directory.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include "scratch.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

fs::path fresh(const std::string& name) {
  const fs::path folder = fs::canonical(scratch_directory()) / name;
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

TEST(AbsoluteDirectory, IsOneNameBeforeAndAfterItIsThere) {
  const fs::path base = fresh("names");
  fs::current_path(base);
  fs::create_directory(base / "real");
  fs::create_directory_symlink(base / "real", base / "link");
  for (const char* name : {"link/a/b", "link/a/b/", "real/a/./b", "x/../link/a/b", "real//a/b"}) {
    fs::remove_all(base / "real" / "a");
    EXPECT_EQ(absolute_directory(name), base / "real/a/b") << name;
    fs::create_directories(base / "real/a/b");
    fs::create_directories(base / "x");
    EXPECT_EQ(absolute_directory(name), base / "real/a/b") << name;
  }
  EXPECT_EQ(absolute_directory("/"), "/");
}

/// A process that holds the lock until it is killed.
pid_t hold(const fs::path& directory) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    const auto lock = RunLock::acquire(directory, nullptr, "run /runs/first", "");
    [[maybe_unused]] const ssize_t told = write(ends[1], "x", 1);
    while (true) pause();
  }
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 1);
  close(ends[0]);
  close(ends[1]);
  return pid;
}

TEST(RunLock, NamesItsHolderAndEndsWithItHoweverThatEnds) {
  const fs::path directory = fresh("held");
  const pid_t pid = hold(directory);
  try {
    RunLock::acquire(directory, nullptr, "run /runs/second", "choose another");
    ADD_FAILURE() << "two holders";
  } catch (const IoError& error) {
    EXPECT_THAT(error.what(), HasSubstr(directory.string()));
    EXPECT_THAT(error.what(), HasSubstr("process " + std::to_string(pid) + " on "));
    EXPECT_THAT(error.what(), HasSubstr("run /runs/first"));
    EXPECT_EQ(error.remedy(), "choose another");
  }
  EXPECT_TRUE(fs::exists(directory / RunLock::kFileName));
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  EXPECT_NE(RunLock::acquire(directory, nullptr, "run /runs/second", ""), nullptr);
  EXPECT_FALSE(fs::exists(directory / RunLock::kFileName));  // let go
}

TEST(RunLock, IsOneForEachOwner) {
  const fs::path directory = fresh("owners");
  int first = 0;
  int second = 0;
  auto lock = RunLock::acquire(directory, &first, "one", "");
  EXPECT_EQ(RunLock::acquire(directory / "." / "", &first, "one", ""), lock);
  EXPECT_THROW(RunLock::acquire(directory, &second, "two", ""), IoError);
  lock.reset();
  EXPECT_NE(RunLock::acquire(directory, &second, "two", ""), nullptr);
}

}  // namespace
}  // namespace polyphony
