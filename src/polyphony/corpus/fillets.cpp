#include <polyphony/corpus/fillets.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include <polyphony/audio/decode.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/corpus/manifest.h>

namespace polyphony::corpus {
namespace fs = std::filesystem;
namespace {

constexpr std::array<const char*, 3> kClasses = {"small", "big", "other"};
constexpr std::array<const char*, 3> kSplits = {"train", "val", "test"};
constexpr std::array<double, 3> kShares = {0.7, 0.1, 0.2};
using Counts = std::array<double, 3>;  // by class

/// Walks through Lua's tokens as far as dialogs need them.
class Lua {
 public:
  Lua(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  bool done() {
    skip();
    return at_ >= text_.size();
  }
  std::size_t line() const { return line_; }

  bool accept(char c) {
    if (done() || text_[at_] != c) return false;
    step();
    return true;
  }

  std::string name() {
    skip();
    const std::size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_')) {
      ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::optional<std::string> quoted() {
    if (done() || (text_[at_] != '"' && text_[at_] != '\'')) return std::nullopt;
    const std::size_t opened = line_;
    const char quote = text_[at_];
    std::string value;
    for (step(); at_ < text_.size(); step()) {
      if (text_[at_] == quote) {
        step();
        return value;
      }
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
        escape(value);
      } else {
        value += text_[at_];
      }
    }
    throw DataError(fmt::format("{}:{}: a string is never closed", source_, opened),
                    "the corpus is damaged: reinstall its package");
  }

  /// Past a token that is of no interest.
  void pass() {
    if (name().empty() && !quoted() && at_ < text_.size()) step();
  }

 private:
  void step() {
    if (text_[at_] == '\n') ++line_;
    ++at_;
  }

  void skip() {
    while (at_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
        step();
      } else if (text_.substr(at_).starts_with("--")) {
        skip_comment();
      } else {
        return;
      }
    }
  }

  void skip_comment() {
    const bool block = text_.substr(at_).starts_with("--[[");
    const std::size_t end = std::min(text_.find(block ? "]]" : "\n", at_), text_.size());
    while (at_ < end) step();
    if (block && at_ < text_.size()) at_ += 2;
  }

  /// Leaves at_ on the last character of the escape.
  void escape(std::string& value) {
    step();
    const char c = text_[at_];
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      int code = c - '0';
      for (int i = 1; i < 3 && at_ + 1 < text_.size() &&
                      std::isdigit(static_cast<unsigned char>(text_[at_ + 1])) != 0;
           ++i) {
        code = code * 10 + (text_[++at_] - '0');
      }
      value += static_cast<char>(static_cast<unsigned char>(code & 0xFF));
      return;
    }
    constexpr std::string_view kLetters = "nrtabfv";
    constexpr std::string_view kValues = "\n\r\t\a\b\f\v";
    const std::size_t known = kLetters.find(c);
    value += known == std::string_view::npos ? c : kValues[known];
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

/// ("a", "b", …) after a function's name.
std::vector<std::string> arguments(Lua& lua) {
  std::vector<std::string> values;
  if (!lua.accept('(')) return values;
  while (auto value = lua.quoted()) {
    values.push_back(std::move(*value));
    if (!lua.accept(',')) break;
  }
  lua.accept(')');
  return values;
}

struct Utterance {
  fs::path audio;
  std::string text, level, language;
  std::size_t label = 0;
};

std::uint64_t hash_of(const std::string& name) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

/// Keeps those with a text and a recording that holds samples.
void read_level(const fs::path& root, const std::string& level, const std::string& language,
                std::vector<Utterance>& utterances, Fillets& corpus) {
  const fs::path script = root / "script" / level / ("dialogs_" + language + ".lua");
  if (!fs::is_regular_file(script)) return;
  for (Dialog& dialog : parse_dialogs(read_file(script), script.string())) {
    const fs::path audio = fs::absolute(root / "sound" / level / language / (dialog.id + ".ogg"));
    if (!fs::is_regular_file(audio)) continue;
    if (blank(dialog.text)) {
      ++corpus.without_text;
      continue;
    }
    try {
      audio::decode_mono(audio);
    } catch (const DataError& error) {
      corpus.skipped.emplace_back(error.what());
      continue;
    }
    const std::size_t label = dialog.font == "font_small" ? 0 : dialog.font == "font_big" ? 1 : 2;
    utterances.push_back({audio, std::move(dialog.text), level, language, label});
  }
}

std::map<std::string, std::size_t> split_levels(const std::map<std::string, Counts>& levels) {
  Counts total{};
  for (const auto& [name, counts] : levels) {
    for (std::size_t c = 0; c < total.size(); ++c) total[c] += counts[c];
  }
  const auto rarest =
      static_cast<std::size_t>(std::min_element(total.begin(), total.end()) - total.begin());
  std::vector<std::string> order;
  for (const auto& [name, counts] : levels) order.push_back(name);
  std::sort(order.begin(), order.end(), [&](const std::string& a, const std::string& b) {
    const double rare_a = levels.at(a)[rarest];
    const double rare_b = levels.at(b)[rarest];
    return rare_a != rare_b ? rare_a > rare_b : hash_of(a) < hash_of(b);
  });
  std::array<Counts, 3> have{};
  std::map<std::string, std::size_t> chosen;
  for (const std::string& name : order) {
    const Counts& counts = levels.at(name);
    // The fall of sum((have - want)^2 / want) over the classes, were the level put into the split.
    const auto gain = [&](std::size_t split) {
      double sum = 0.0;
      for (std::size_t c = 0; c < counts.size(); ++c) {
        const double want = std::max(kShares[split] * total[c], 1.0);
        const double before = have[split][c] - want;
        const double after = before + counts[c];
        sum += (before * before - after * after) / want;
      }
      return sum;
    };
    std::size_t best = 0;
    for (std::size_t split = 1; split < kSplits.size(); ++split) {
      if (gain(split) > gain(best)) best = split;
    }
    chosen[name] = best;
    for (std::size_t c = 0; c < counts.size(); ++c) have[best][c] += counts[c];
  }
  return chosen;
}

std::vector<std::string> level_names(const fs::path& root) {
  std::error_code error;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(root / "script", error)) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::vector<Dialog> parse_dialogs(std::string_view text, const std::string& source) {
  Lua lua(text, source);
  std::vector<Dialog> dialogs;
  std::optional<Dialog> open;
  while (!lua.done()) {
    const std::size_t line = lua.line();
    const std::string name = lua.name();
    if (name == "dialogId") {
      const auto values = arguments(lua);
      open.reset();
      if (values.size() >= 2) {
        open = Dialog{values[0], values[1], values.size() > 2 ? values[2] : "", "", line};
      }
    } else if (name == "dialogStr") {
      const auto values = arguments(lua);
      if (open && !values.empty()) {
        open->text = values[0];
        dialogs.push_back(std::move(*open));
      }
      open.reset();
    } else if (name.empty()) {
      lua.pass();
    }
  }
  return dialogs;
}

Fillets read_fillets(const FilletsOptions& options) {
  Fillets corpus;
  std::vector<Utterance> utterances;
  for (const std::string& level : level_names(options.root)) {
    for (const char* language : {"cs", "nl"}) {
      read_level(options.root, level, language, utterances, corpus);
    }
  }
  std::map<std::string, Counts> levels;
  for (const Utterance& utterance : utterances) levels[utterance.level][utterance.label] += 1.0;
  const auto splits = split_levels(levels);
  corpus.table.header = {"audio_path", "text", "label", "group", "language", "split"};
  for (const Utterance& utterance : utterances) {
    if (options.language == FilletsLanguage::kCzech && utterance.language != "cs") continue;
    if (options.language == FilletsLanguage::kDutch && utterance.language != "nl") continue;
    const std::string split = kSplits[splits.at(utterance.level)];
    const std::string label = kClasses[utterance.label];
    corpus.table.rows.push_back({utterance.audio.string(), utterance.text, label, utterance.level,
                                 utterance.language, split});
    ++corpus.counts[split][label];
  }
  if (corpus.table.rows.empty()) {
    throw DataError(
        options.root.string() + ": no dialogue found",
        "install it: apt install fillets-ng-data fillets-ng-data-cs fillets-ng-data-nl; "
        "or name its folder with --root");
  }
  return corpus;
}

}  // namespace polyphony::corpus
