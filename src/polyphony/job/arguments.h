#pragma once

#include <optional>
#include <string>
#include <vector>

namespace polyphony::job {

/// What stands on the command line of a program that Hydra would run.
struct Arguments {
  std::vector<std::string> overrides;
  bool help = false;
  bool hydra_help = false;
  bool version = false;
  bool resolve = false;
  bool run = false;
  bool multirun = false;
  bool shell_completion = false;
  std::optional<std::string> cfg;  ///< "job", "hydra" or "all"
  std::optional<std::string> package;
  std::optional<std::string> config_path;
  std::optional<std::string> config_name;
  std::optional<std::string> config_dir;
  std::optional<std::string> version_base;  ///< ours; Hydra's is said in the source
  std::optional<std::string> rerun;         ///< --experimental-rerun
  std::optional<std::string> info;          ///< "all" where no kind is given
};

/// Where overrides may stand among the flags.
enum class Overrides {
  kTogether,  ///< in one group, as Python's argparse wants them: "a=1 -m b=2" is an error
  kAnywhere,
};

/// Reads the words behind the program's name, with argparse's rules: flags may be shortened to an
/// unambiguous beginning, joined to their value ("-cjob", "--cfg=job") and to each other ("-mr").
/// @param program  its name, for the usage text
/// @throws UsageError as argparse words it, with the usage as remedy
Arguments parse_arguments(const std::vector<std::string>& words, const std::string& program,
                          Overrides overrides = Overrides::kTogether);

/// One line a flag, as Hydra's help shows them.
std::string flags_help(const std::string& program);

/// The flags that begin with these letters, for completion.
std::vector<std::string> flags_beginning(const std::string& word);

}  // namespace polyphony::job
