#include <polyphony/job/arguments.h>

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/nearest.h>

namespace polyphony::job {
namespace {

enum class Takes { kNothing, kValue, kOptionalValue };

/// A flag: its names, what follows it, and where that goes.
struct Flag {
  std::string_view name;
  std::string_view letters;  ///< short form; may be empty
  Takes takes;
  bool Arguments::*set;
  std::optional<std::string> Arguments::*value;
  std::string_view allowed;  ///< "a|b" where only these values are good
  std::string_view doc;
  bool ours = false;  ///< not one of Hydra's

  std::string names() const {
    return letters.empty() ? std::string(name) : fmt::format("{}/{}", name, letters);
  }
  std::vector<std::string> choices() const {
    std::vector<std::string> out;
    for (std::size_t at = 0; at < allowed.size();) {
      const std::size_t end = std::min(allowed.find('|', at), allowed.size());
      out.emplace_back(allowed.substr(at, end - at));
      at = end + 1;
    }
    return out;
  }
};

Flag toggle(std::string_view name, std::string_view letters, bool Arguments::*set,
            std::string_view doc) {
  return {name, letters, Takes::kNothing, set, nullptr, "", doc};
}
Flag valued(std::string_view name, std::string_view letters,
            std::optional<std::string> Arguments::*value, std::string_view doc,
            std::string_view allowed = "") {
  return {name, letters, Takes::kValue, nullptr, value, allowed, doc};
}

const std::vector<Flag>& flags() {
  static const std::vector<Flag> kFlags = [] {
    std::vector<Flag> all{
        toggle("--help", "-h", &Arguments::help, "Application's help"),
        toggle("--hydra-help", "", &Arguments::hydra_help, "Hydra's help"),
        toggle("--version", "", &Arguments::version, "Show Hydra's version and exit"),
        valued("--cfg", "-c", &Arguments::cfg, "Show config instead of running [job|hydra|all]",
               "job|hydra|all"),
        toggle("--resolve", "", &Arguments::resolve,
               "Used in conjunction with --cfg, resolve config interpolations before printing."),
        valued("--package", "-p", &Arguments::package, "Config package to show"),
        toggle("--run", "-r", &Arguments::run, "Run a job"),
        toggle("--multirun", "-m", &Arguments::multirun,
               "Run multiple jobs with the configured launcher and sweeper"),
        toggle("--shell-completion", "-sc", &Arguments::shell_completion,
               "Install or Uninstall shell completion: [install|uninstall]=[bash|zsh|fish]"),
        valued("--config-path", "-cp", &Arguments::config_path,
               "Overrides the config directory that the program names"),
        valued("--config-name", "-cn", &Arguments::config_name,
               "Overrides the config name that the program names"),
        valued("--config-dir", "-cd", &Arguments::config_dir,
               "Adds an additional config dir to the config search path"),
        valued("--experimental-rerun", "", &Arguments::rerun,
               "Rerun a job from the .hydra directory of a run"),
    };
    all.push_back(
        {"--info", "-i", Takes::kOptionalValue, nullptr, &Arguments::info,
         "all|config|defaults|defaults-tree|plugins|searchpath",
         "Print Hydra information [all|config|defaults|defaults-tree|plugins|searchpath]"});
    all.push_back(valued("--version-base", "", &Arguments::version_base,
                         "Behave as this version of Hydra does [1.1|1.2|1.3]"));
    all.back().ours = true;
    return all;
  }();
  return kFlags;
}

std::string usage(const std::string& program) {
  std::string text = "usage: " + program;
  for (const Flag& flag : flags()) {
    std::string value(flag.name.substr(2));
    std::transform(value.begin(), value.end(), value.begin(),
                   [](char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
    if (!flag.allowed.empty()) value = fmt::format("{{{}}}", fmt::join(flag.choices(), ","));
    text += flag.takes == Takes::kNothing ? fmt::format(" [{}]", flag.name)
            : flag.takes == Takes::kValue ? fmt::format(" [{} {}]", flag.name, value)
                                          : fmt::format(" [{} [{}]]", flag.name, value);
  }
  return text + " [overrides ...]";
}

/// A word taken for a flag: which, and the value joined to it.
struct Match {
  const Flag* flag;
  std::string as;  ///< the name it was called by
  std::optional<std::string> joined;
};

class Parser {
 public:
  Parser(const std::vector<std::string>& words, const std::string& program, Overrides overrides)
      : words_(words), program_(program), overrides_(overrides) {
    classify();
  }

  Arguments parse() {
    for (std::size_t i = 0; i < words_.size() && !out_.version;) {
      i = kinds_[i] == Kind::kFlag ? take_flag(i) : take_positionals(i);
    }
    if (!extras_.empty() && !out_.version) {
      fail(fmt::format("unrecognized arguments: {}", fmt::join(extras_, " ")), nearest_flag());
    }
    return std::move(out_);
  }

 private:
  enum class Kind { kFlag, kPositional, kSeparator };

  [[noreturn]] void fail(const std::string& fact, const std::string& hint = "") const {
    throw UsageError(fmt::format("{}: error: {}", program_, fact), hint + usage(program_));
  }

  std::string nearest_flag() const {
    std::vector<std::string> names;
    for (const Flag& flag : flags()) names.emplace_back(flag.name);
    const std::string near =
        extras_[0].starts_with("--") ? base::nearest(extras_[0], names) : std::string();
    return near.empty() ? "" : fmt::format("did you mean {}?\n", near);
  }

  /// Flags by argparse's rules; everything behind "--" is positional.
  void classify() {
    bool separated = false;
    for (const std::string& word : words_) {
      matches_.emplace_back();
      if (separated) {
        kinds_.push_back(Kind::kPositional);
      } else if (word == "--") {
        separated = true;
        kinds_.push_back(Kind::kSeparator);
      } else {
        kinds_.push_back(looks_like_flag(word, matches_.back()) ? Kind::kFlag : Kind::kPositional);
      }
    }
  }

  bool looks_like_flag(const std::string& word, std::vector<Match>& found) const {
    if (word.size() < 2 || word[0] != '-') return false;
    const std::size_t equal = word.find('=');
    const std::string name = word.substr(0, equal);
    std::optional<std::string> joined;
    if (equal != std::string::npos) joined = word.substr(equal + 1);
    for (const Flag& flag : flags()) {
      if (word == flag.name || word == flag.letters) {
        found = {{&flag, word, std::nullopt}};
        return true;
      }
    }
    for (const Flag& flag : flags()) {
      if (joined && (name == flag.name || name == flag.letters)) {
        found = {{&flag, name, joined}};
        return true;
      }
    }
    found = beginnings(word, name, joined);
    if (found.size() > 1) {
      std::vector<std::string> names;
      for (const Match& match : found) names.push_back(match.as);
      fail(fmt::format("ambiguous option: {} could match {}", word, fmt::join(names, ", ")));
    }
    if (!found.empty()) return true;
    const bool number = std::all_of(word.begin() + 1, word.end(),
                                    [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
    return !number && word.find(' ') == std::string::npos;
  }

  /// The flags that the word may shorten, and short flags with a value or flags joined behind.
  static std::vector<Match> beginnings(const std::string& word, const std::string& name,
                                       const std::optional<std::string>& joined) {
    std::vector<Match> found;
    for (const Flag& flag : flags()) {
      if (flag.ours) continue;  // what shortens one of Hydra's flags still does
      if (word.starts_with("--")) {
        if (flag.name.starts_with(name)) found.push_back({&flag, std::string(flag.name), joined});
        continue;
      }
      for (const std::string_view form : {flag.name, flag.letters}) {
        if (form.empty()) continue;
        if (form == std::string_view(word).substr(0, 2)) {
          found.push_back({&flag, std::string(form), word.substr(2)});
        } else if (form.starts_with(word)) {
          found.push_back({&flag, std::string(form), std::nullopt});
        }
      }
    }
    return found;
  }

  std::size_t take_flag(std::size_t at) {
    if (matches_[at].empty()) {
      extras_.push_back(words_[at]);
      return at + 1;
    }
    Match match = matches_[at][0];
    while (match.flag->takes == Takes::kNothing) {
      out_.*match.flag->set = true;
      if (!match.joined) return at + 1;
      match = next_joined(match);
    }
    if (match.joined) {
      store(*match.flag, *match.joined);
      return at + 1;
    }
    const bool follows = at + 1 < words_.size() && kinds_[at + 1] == Kind::kPositional;
    if (follows) {
      store(*match.flag, words_[at + 1]);
      return at + 2;
    }
    if (match.flag->takes == Takes::kValue) {
      fail(fmt::format("argument {}: expected one argument", match.flag->names()));
    }
    out_.*match.flag->value = "all";
    return at + 1;
  }

  /// "-mr": the flag that stands behind another one's letter.
  Match next_joined(const Match& match) const {
    const std::string& rest = *match.joined;
    const std::string letter = "-" + rest.substr(0, 1);
    const bool one_letter = match.as.size() == 2 && !rest.empty();
    for (const Flag& flag : flags()) {
      if (!one_letter || flag.letters != letter) continue;
      std::optional<std::string> more;
      if (rest.size() > 1) more = rest.substr(1);
      return {&flag, letter, more};
    }
    fail(fmt::format("argument {}: ignored explicit argument '{}'", match.flag->names(), rest));
  }

  void store(const Flag& flag, const std::string& value) {
    const std::vector<std::string> choices = flag.choices();
    if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end()) {
      fail(fmt::format("argument {}: invalid choice: '{}' (choose from '{}')", flag.names(), value,
                       fmt::join(choices, "', '")));
    }
    out_.*flag.value = value;
  }

  std::size_t take_positionals(std::size_t at) {
    const bool again = had_positionals_ && overrides_ == Overrides::kTogether;
    bool separator_seen = false;
    for (; at < words_.size() && kinds_[at] != Kind::kFlag; ++at) {
      if (kinds_[at] == Kind::kSeparator && !again && !separator_seen) {
        separator_seen = true;
        continue;
      }
      (again ? extras_ : out_.overrides).push_back(words_[at]);
    }
    had_positionals_ = true;
    return at;
  }

  const std::vector<std::string>& words_;
  const std::string& program_;
  Overrides overrides_;
  std::vector<Kind> kinds_;
  std::vector<std::vector<Match>> matches_;
  std::vector<std::string> extras_;
  bool had_positionals_ = false;
  Arguments out_;
};

}  // namespace

Arguments parse_arguments(const std::vector<std::string>& words, const std::string& program,
                          Overrides overrides) {
  return Parser(words, program, overrides).parse();
}

std::string flags_help(const std::string& program) {
  std::string text;
  for (const Flag& flag : flags()) {
    text += fmt::format("{}{}{} : {}\n", flag.name, flag.letters.empty() ? "" : ",", flag.letters,
                        flag.doc);
    if (flag.name != "--shell-completion") continue;
    for (const char* shell : {"bash", "zsh", "fish"}) {
      const bool fish = std::string_view(shell) == "fish";
      text += fish ? fmt::format("    {}: {} -sc install={} | source\n", shell, program, shell)
                   : fmt::format("    {}: eval \"$({} -sc install={})\"\n", shell, program, shell);
    }
  }
  return text +
         "Overrides : Any key=value arguments to override config values (use dots "
         "for.nested=overrides)";
}

std::vector<std::string> flags_beginning(const std::string& word) {
  std::vector<std::string> out;
  for (const Flag& flag : flags()) {
    if (flag.name.starts_with(word)) out.emplace_back(flag.name);
  }
  return out;
}

}  // namespace polyphony::job
