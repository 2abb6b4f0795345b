#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <polyphony/base/files.h>

namespace polyphony {

/// What a program that has ended left behind.
struct Finished {
  int exit_code = -1;  ///< 128 + N after signal N
  std::string out;
  std::string err;
};

/// A program to run in a directory, its output kept in files.
struct Program {
  std::vector<std::string> command;
  std::filesystem::path directory;
  std::map<std::string, std::string> environment = {};  ///< besides the test's own
  std::string output = {};  ///< OUTPUT.out and OUTPUT.err; "": beside the directory

  pid_t start() const {
    std::filesystem::create_directories(directory);
    const pid_t pid = fork();
    if (pid != 0) return pid;
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    std::filesystem::current_path(directory);
    dup2(open(file("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDOUT_FILENO);
    dup2(open(file("err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDERR_FILENO);
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }

  Finished finish(pid_t pid) const {
    int status = 0;
    waitpid(pid, &status, 0);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return {code, read_file(file("out")), read_file(file("err"))};
  }

  Finished run() const { return finish(start()); }

 private:
  std::string file(const char* what) const {
    return (output.empty() ? directory.string() : output) + "." + what;
  }
};

}  // namespace polyphony
