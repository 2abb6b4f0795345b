#pragma once

#include <string>
#include <vector>

#include <polyphony/job/app.h>
#include <polyphony/job/settings.h>

namespace polyphony::job {

/// What may stand where the line ends: flags and their values, groups, options, keys and values of
/// the configuration, files. Sorted; nothing where the line cannot be read or composed.
/// @param line  the words behind the program's name, up to the cursor
std::vector<std::string> completions(const App& app, const std::string& line);

/// The text to evaluate in a shell, which then asks the program for completions.
/// @param shell  "bash", "zsh" or "fish"  @param executable  the program's name
/// @throws UsageError for another shell
std::string completion_script(const std::string& shell, const std::string& executable);
/// The text that takes it back.
std::string completion_removal(const std::string& shell, const std::string& executable);

/// The line that a shell passes in COMP_LINE, without the program's name. @throws UsageError
std::string line_to_complete();
/// Prints candidates in the form that a shell's query wants: lines for fish, else words.
void print_candidates(const std::string& shell, const std::vector<std::string>& candidates);

/// --shell-completion install=SHELL | uninstall=SHELL | query=SHELL.
void shell_completion(const App& app, const std::vector<std::string>& overrides);

}  // namespace polyphony::job
