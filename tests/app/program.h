#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace polyphony {

/// How a run of the program ended.
struct Ended {
  int code = 0;  ///< exit code; 128 + N where signal N ended it
  std::string out, err;
};

/// A running polyphony. It is killed with the object.
class RunningProgram {
 public:
  /// @param folder  its working directory; the run store is logs/polyphony.db below it
  RunningProgram(const std::filesystem::path& folder, const std::vector<std::string>& arguments);
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  void signal(int number) const;
  /// Waits for the end; kills it after `limit`.
  Ended wait(std::chrono::seconds limit = std::chrono::seconds(120));

 private:
  std::filesystem::path folder_;
  int pid_ = 0;
};

/// Runs it to its end.
Ended run_program(const std::filesystem::path& folder, const std::vector<std::string>& arguments);

/// Writes manifest.csv and half-second tones, one pitch a class (small, big, other), into `folder`:
/// 24 rows of train, 6 of val, 9 of test.
std::filesystem::path write_tones(const std::filesystem::path& folder);

/// Arguments of `polyphony VERB` that train an audio model on such a manifest in seconds.
std::vector<std::string> small_run(const std::string& verb, const std::filesystem::path& manifest);

}  // namespace polyphony
