#include <polyphony/job/completion.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/compose/repository.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::job {
namespace {

namespace fs = std::filesystem;
using config::Node;
using Words = std::vector<std::string>;

/// "KEY=./path" and the like: files that begin with the path. Nothing where it is no path.
std::optional<Words> files(const std::string& word) {
  const std::size_t equal = word.rfind('=');
  if (equal == std::string::npos || equal + 1 == word.size()) return std::nullopt;
  const std::string typed = word.substr(equal + 1);
  if (typed[0] != '.' && typed[0] != '/') return std::nullopt;
  const bool is_folder = fs::is_directory(typed);
  const fs::path folder = is_folder ? fs::path(typed) : fs::path(typed).parent_path();
  const std::string beginning = is_folder ? "" : fs::path(typed).filename().string();
  Words found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(beginning)) {
      found.push_back(word.substr(0, equal + 1) + (folder / name).string());
    }
  }
  return found;
}

/// Groups and options that begin with the word.
struct GroupMatches {
  Words words;
  bool option = false;  ///< the word is "GROUP=…": keys of the configuration do not count then
};

GroupMatches groups(const config::Repository& repository, std::string word) {
  std::string sign;
  if (word.starts_with('+') || word.starts_with('~')) {
    sign = word[0];
    word.erase(0, 1);
  }
  GroupMatches out;
  const std::size_t equal = word.rfind('=');
  if (equal != std::string::npos) {
    const std::string group = word.substr(0, equal);
    for (const std::string& option : repository.options(group.substr(0, group.find('@')))) {
      out.option = true;
      const std::string name = group + "=" + option;
      if (name.starts_with(word)) out.words.push_back(sign + name);
    }
    return out;
  }
  const std::size_t slash = word.rfind('/');
  const std::string parent = slash == std::string::npos ? "" : word.substr(0, slash);
  for (const std::string& group : repository.groups(parent)) {
    std::string name = parent.empty() ? group : parent + "/" + group;
    if (!name.starts_with(word)) continue;
    const bool options = !repository.options(name).empty();
    const bool inner = !repository.groups(name).empty();
    if (!inner && options && sign != "~") name += "=";
    if (inner && !options) name += "/";
    out.words.push_back(sign + name);
  }
  return out;
}

/// Keys of a container that begin so; "KEY." for containers, "KEY=" for values.
Words keys(const Node& container, const std::string& beginning, const std::string& before) {
  Words out;
  const auto add = [&](const std::string& key, const Node& value) {
    if (key.starts_with(beginning)) out.push_back(before + key + (value.is_scalar() ? "=" : "."));
  };
  for (const auto& [key, value] : container.entries()) add(config::python_str(key), value);
  for (std::size_t i = 0; i < container.items().size(); ++i) {
    add(std::to_string(i), container.items()[i]);
  }
  return out;
}

/// "a.b" of the configuration: what may follow. "a.b=" gives its present value.
Words config_keys(const Settings& settings, const std::string& word) {
  const Node& root = settings.root();
  if (word.ends_with('=') || word.ends_with('.')) {
    const std::string path = word.substr(0, word.size() - 1);
    const Node* node = root.select(path);
    if (node == nullptr || node->is_null()) return {};
    if (!node->is_scalar()) return keys(*node, "", word);
    if (node->is_missing()) return {word};
    const Node value = config::at_key(root, path, settings.context());
    if (value.kind() == Node::Kind::kBool) return {word + (value.as_bool() ? "true" : "false")};
    return {word + config::python_str(value)};
  }
  const std::size_t dot = word.rfind('.');
  if (dot == std::string::npos) return keys(root, word, "");
  const Node* parent = root.select(word.substr(0, dot));
  if (parent == nullptr) return {};
  return keys(*parent, word.substr(dot + 1), word.substr(0, dot + 1));
}

Words split(const std::string& line) {
  std::istringstream stream(line);
  Words words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/// Values of a flag that takes one, where the last whole word is that flag.
std::optional<Words> flag_values(const App& app, const Words& before, const std::string& word) {
  if (before.empty()) return std::nullopt;
  const std::string& flag = before.back();
  Words values;
  if (flag == "--cfg" || flag == "-c") values = {"all", "hydra", "job"};
  if (flag == "--info" || flag == "-i") {
    values = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"};
  }
  if (flag == "--config-name" || flag == "-cn") {
    Source source(
        app, parse_arguments({before.begin(), before.end() - 1}, app.program, Overrides::kAnywhere),
        Source::Warnings::kDropped);
    values = source.repository().options("");
  }
  if (values.empty()) return std::nullopt;
  std::erase_if(values, [&](const std::string& value) { return !value.starts_with(word); });
  return values;
}

Words candidates(const App& app, const std::string& line) {
  Words before = split(line);
  std::string word;
  if (!before.empty() && line.back() != ' ' && line.back() != '\t') {
    word = before.back();
    before.pop_back();
  }
  if (const auto values = flag_values(app, before, word)) return *values;
  if (word.starts_with('-')) return flags_beginning(word);
  if (const auto found = files(word)) return *found;
  const Arguments arguments = parse_arguments(before, app.program, Overrides::kAnywhere);
  Source source(app, arguments, Source::Warnings::kDropped);
  GroupMatches found = groups(source.repository(), word);
  if (found.option) return found.words;
  try {
    const RunMode mode = arguments.multirun ? RunMode::kMultirun : RunMode::kRun;
    const Settings settings(source.load(arguments.overrides, mode));
    const Words more = config_keys(settings, word);
    found.words.insert(found.words.end(), more.begin(), more.end());
  } catch (const Error&) {
    // What cannot be composed yet (a group not chosen, a file missing) still has its groups.
  }
  return found.words;
}

/// A shell function's name from the program's.
std::string function_name(const std::string& executable) {
  std::string name = "_" + fs::path(executable).filename().string() + "_complete";
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); },
      '_');
  return name;
}

// The shells ask with query=fish, one candidate a line, so that values may hold blanks.
constexpr const char* kBash = R"({0}() {{
    local line="${{COMP_LINE:0:COMP_POINT}}" word kept="" candidate
    word="${{line##*[[:space:]]}}"
    # Bash replaces only what stands behind a word break such as "=".
    case "$COMP_WORDBREAKS" in *=*) kept="${{word%"${{word##*[=:@]}}"}}" ;; esac
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("${{candidate#"$kept"}}")
    done < <(COMP_LINE="$line" "$1" --shell-completion query=fish 2> /dev/null)
    case "${{#COMPREPLY[@]}}:${{COMPREPLY[0]}}" in
        1:*[=./]) ;;
        1:*) compopt +o nospace 2> /dev/null ;;
    esac
}}
complete -o nospace -o default -F {0} {1}
)";
constexpr const char* kZsh = R"({0}() {{
    local -a candidates
    candidates=("${{(@f)$(COMP_LINE="${{BUFFER[1,CURSOR]}}" "${{words[1]}}" --shell-completion query=fish 2> /dev/null)}}")
    candidates=(${{candidates:#}})
    (( ${{#candidates}} )) && compadd -S '' -- "${{candidates[@]}}"
}}
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
compdef {0} {1}
)";
constexpr const char* kFish = R"(function {0}
    set -l words (commandline -cpo)
    env COMP_LINE=(commandline -cp) $words[1] --shell-completion query=fish 2> /dev/null
end
complete -c {1} -x -a '({0})'
)";

[[noreturn]] void unknown_shell(const std::string& shell) {
  throw UsageError(
      fmt::format("No completion plugin for '{}' found, available : bash, zsh, fish", shell),
      "write --shell-completion install=bash");
}

}  // namespace

std::vector<std::string> completions(const App& app, const std::string& line) {
  try {
    Words found = candidates(app, line);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  } catch (const Error&) {
    return {};
  }
}

std::string completion_script(const std::string& shell, const std::string& executable) {
  const std::string function = function_name(executable);
  if (shell == "bash") return fmt::format(kBash, function, executable);
  if (shell == "zsh") return fmt::format(kZsh, function, executable);
  if (shell == "fish") return fmt::format(kFish, function, executable);
  unknown_shell(shell);
}

std::string completion_removal(const std::string& shell, const std::string& executable) {
  const std::string function = function_name(executable);
  if (shell == "bash") return fmt::format("complete -r {1}\nunset -f {0}\n", function, executable);
  if (shell == "zsh") return fmt::format("compdef -d {1}\nunset -f {0}\n", function, executable);
  if (shell == "fish") {
    return fmt::format("complete -e -c {1}\nfunctions -e {0}\n", function, executable);
  }
  unknown_shell(shell);
}

std::string line_to_complete() {
  const char* variable = std::getenv("COMP_LINE");
  if (variable == nullptr) {
    throw UsageError("query: COMP_LINE is not set", "the shell's completion function sets it");
  }
  const std::string line = variable;
  const std::size_t begin = line.find_first_not_of(" \t");
  const std::size_t end = line.find_first_of(" \t", begin);
  const std::size_t rest = line.find_first_not_of(" \t", end);
  return end == line.npos || rest == line.npos ? "" : line.substr(rest);
}

void print_candidates(const std::string& shell, const std::vector<std::string>& candidates) {
  if (!candidates.empty()) {
    inform("{}", fmt::join(candidates, shell == "fish" ? "\n" : " "));
  }
}

void shell_completion(const App& app, const std::vector<std::string>& overrides) {
  const std::string word = overrides.size() == 1 ? overrides[0] : "";
  const std::size_t equal = word.find('=');
  const std::string command = word.substr(0, equal);
  const std::string shell = equal == word.npos ? "" : word.substr(equal + 1);
  const std::string executable = app.program.substr(0, app.program.find(' '));
  if (command == "install") {
    notify(Notice::kInfo, completion_script(shell, executable));
  } else if (command == "uninstall") {
    notify(Notice::kInfo, completion_removal(shell, executable));
  } else if (command == "query") {
    print_candidates(shell, completions(app, line_to_complete()));
  } else {
    throw UsageError("Expecting one subcommand from ['install', 'uninstall', 'query'] to be set",
                     "write --shell-completion install=bash");
  }
}

}  // namespace polyphony::job
