#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include <polyphony/job/report.h>

namespace polyphony::job {

/// How a job of a sweep ended.
struct Outcome {
  enum class State { kDone, kFailed, kNotRun };
  State state = State::kNotRun;
  Failure failure;  ///< of kFailed
};

/// Child processes, each of which does one job. A crash ends that job only. When this process
/// ends, they are asked to stop.
class Processes {
 public:
  Processes() = default;
  ~Processes();
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  /// Starts work in a child. @param output  file for its standard output and error; "" for ours
  /// @throws IoError where no process can be made
  void start(std::size_t id, const std::filesystem::path& output,
             const std::function<Outcome()>& work);
  std::size_t running() const { return children_.size(); }

  /// Waits until a child ends. Nothing where a signal or a moment's end came first: ask again.
  std::optional<std::pair<std::size_t, Outcome>> wait();
  /// Sends a signal to all children.
  void signal_all(int number) const;

 private:
  struct Child {
    std::size_t id;
    int report;  ///< read end of the pipe that its failure comes through
    std::string text;
  };
  Outcome reap(pid_t pid, const Child& child);

  std::map<pid_t, Child> children_;
};

}  // namespace polyphony::job
