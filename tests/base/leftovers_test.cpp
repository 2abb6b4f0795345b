#include <polyphony/base/leftovers.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include <gmock/gmock.h>

#include <polyphony/base/descriptor.h>
#include <polyphony/base/files.h>
#include "../scratch.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;

class Leftovers : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_directory() / "leftovers";
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "below");
  }

  /// A process that is gone.
  static pid_t ended_process() {
    const pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, nullptr, 0);
    return pid;
  }

  /// A temporary file beside PATH, as that process would have named it.
  static fs::path left_by(pid_t pid, const fs::path& path) {
    std::string name = temporary_beside(path, "abcdef");
    const std::string mine = "-" + std::to_string(getpid()) + "-";
    name.replace(name.rfind(mine), mine.size(), "-" + std::to_string(pid) + "-");
    write_file(name, "half");
    return name;
  }

  static void age(const fs::path& path, std::chrono::minutes by) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - by);
  }

  fs::path folder_;
};

TEST_F(Leftovers, OfAnEndedProcessGo) {
  const fs::path left = left_by(ended_process(), folder_ / "last.ckpt");
  write_file(folder_ / "last.ckpt", "whole");
  EXPECT_EQ(remove_leftovers(folder_), 1U);
  EXPECT_FALSE(fs::exists(left));
  EXPECT_EQ(read_file(folder_ / "last.ckpt"), "whole");
}

TEST_F(Leftovers, OfAProcessKilledInAWriteGo) {
  const fs::path target = folder_ / "model.ckpt";
  const pid_t pid = fork();
  if (pid == 0) {
    const std::string bytes(1 << 22, 'x');
    while (true) write_file(target, bytes);
  }
  const auto unfinished = [&] {
    for (const auto& file : fs::directory_iterator(folder_)) {
      if (file.path().string().find(".tmp-") != std::string::npos) return true;
    }
    return false;
  };
  // At some kill there is one.
  while (!unfinished()) {
  }
  kill(pid, SIGSTOP);
  waitpid(pid, nullptr, WUNTRACED);
  const bool there = unfinished();
  EXPECT_EQ(remove_leftovers(folder_), 0U);  // its writer lives
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  EXPECT_EQ(remove_leftovers(folder_), there ? 1U : 0U);
  EXPECT_FALSE(unfinished());
}

TEST_F(Leftovers, OfOtherHostsGoWhenTheyAreOld) {
  const fs::path path = folder_ / "last.ckpt.tmp-00000000-1-abcdef";
  write_file(path, "half");
  EXPECT_EQ(remove_leftovers(folder_), 0U);
  age(path, std::chrono::minutes(61));
  {
    const Descriptor file(::open(path.c_str(), O_RDONLY));
    lock_temporary(file.get());
    EXPECT_EQ(remove_leftovers(folder_), 0U);  // its writer lives, somewhere
  }
  EXPECT_EQ(remove_leftovers(folder_), 1U);
}

TEST_F(Leftovers, AreNoFilesOfAnotherName) {
  for (const char* name : {"notes.tmp-backup", "last.ckpt.tmp-1-2", "x.tmp-", "a.tmp-00000000-1",
                           "a.tmp-0000000g-1-abcdef", "last.ckpt"}) {
    write_file(folder_ / name, "mine");
    age(folder_ / name, std::chrono::minutes(600));
  }
  EXPECT_EQ(remove_leftovers(folder_), 0U);
}

TEST_F(Leftovers, InFoldersBelowGoWhereAsked) {
  const pid_t ended = ended_process();
  left_by(ended, folder_ / "below/last.ckpt");
  EXPECT_EQ(remove_leftovers(folder_), 0U);
  EXPECT_EQ(remove_leftovers(folder_, Depth::kTwoBelow), 1U);
  EXPECT_EQ(remove_leftovers(folder_ / "not there", Depth::kTwoBelow), 0U);
}

TEST_F(Leftovers, OfANameAsLongAsCanBeGoToo) {
  const fs::path path = folder_ / std::string(250, 'n');
  write_file(path, "whole");
  EXPECT_EQ(read_file(path), "whole");
  left_by(ended_process(), path);
  EXPECT_EQ(remove_leftovers(folder_), 1U);
}

TEST_F(Leftovers, AreLinksToo) {
  const fs::path left = left_by(ended_process(), folder_ / "model.bin");
  fs::remove(left);
  fs::create_symlink("nowhere", left);
  EXPECT_EQ(remove_leftovers(folder_), 1U);
}

}  // namespace
}  // namespace polyphony
