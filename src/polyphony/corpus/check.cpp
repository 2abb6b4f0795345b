#include <polyphony/corpus/check.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <exception>
#include <iterator>
#include <numeric>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/audio/decode.h>
#include <polyphony/base/error.h>
#include <polyphony/text/normalize.h>

namespace polyphony::corpus {
namespace {

using SplitsOf = std::map<std::string, std::set<std::string>>;

struct Heard {
  double seconds = 0.0;
  std::string error;
};

Heard hear(const ManifestRow& row) {
  if (row.audio_path.empty())
    return {0.0, fmt::format("line {}: no path of a recording", row.line)};
  try {
    return {audio::decode_mono(row.audio_path).seconds(), {}};
  } catch (const std::exception& error) {
    return {0.0, fmt::format("line {}: {}", row.line, error.what())};
  }
}

void check_audio(const Manifest& manifest, CheckReport& report) {
  std::vector<Heard> heard(manifest.rows.size());
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back([&] {
      for (std::size_t at = next++; at < heard.size(); at = next++) {
        heard[at] = hear(manifest.rows[at]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (Heard& one : heard) {
    if (one.error.empty()) {
      report.seconds.push_back(one.seconds);
    } else {
      report.bad_audio.push_back(std::move(one.error));
    }
  }
  std::sort(report.seconds.begin(), report.seconds.end());
}

std::vector<std::string> leaks(const SplitsOf& splits_of) {
  std::vector<std::string> found;
  for (const auto& [what, splits] : splits_of) {
    if (splits.size() > 1)
      found.push_back(fmt::format("'{}' in {}", what, fmt::join(splits, ", ")));
  }
  return found;
}

void append_list(std::string& text, const char* title, const std::vector<std::string>& items) {
  constexpr std::size_t kShown = 10;
  auto out = std::back_inserter(text);
  fmt::format_to(out, "{}: {}\n", title, items.size());
  for (std::size_t i = 0; i < std::min(items.size(), kShown); ++i) {
    fmt::format_to(out, "  {}\n", items[i]);
  }
  if (items.size() > kShown) fmt::format_to(out, "  ... and {} more\n", items.size() - kShown);
}

}  // namespace

CheckReport check_manifest(const Manifest& manifest) {
  CheckReport report;
  report.rows = manifest.rows.size();
  SplitsOf texts;
  SplitsOf groups;
  for (const ManifestRow& row : manifest.rows) {
    ++report.classes[row.label];
    ++report.splits[row.split][row.label];
    if (!row.group.empty()) groups[row.group].insert(row.split);
    if (!manifest.has_text) continue;
    const std::string text = text::normalize(row.text);
    if (text.empty()) {
      report.empty_text.push_back(fmt::format("line {}", row.line));
    } else {
      texts[text].insert(row.split);
    }
  }
  const auto [least, most] =
      std::minmax_element(report.classes.begin(), report.classes.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; });
  if (least != report.classes.end()) {
    report.imbalance = static_cast<double>(most->second) / static_cast<double>(least->second);
  }
  report.leaked_texts = leaks(texts);
  report.leaked_groups = leaks(groups);
  if (manifest.has_audio) check_audio(manifest, report);
  return report;
}

std::string to_text(const CheckReport& report) {
  std::string text;
  auto out = std::back_inserter(text);
  const auto named = [](const std::string& name) { return name.empty() ? "(none)" : name; };
  fmt::format_to(out, "rows: {}\nclasses:", report.rows);
  for (const auto& [name, count] : report.classes)
    fmt::format_to(out, " {} {}", named(name), count);
  fmt::format_to(out, "\nimbalance: {:.2f} (largest class / smallest)\n", report.imbalance);
  for (const auto& [split, classes] : report.splits) {
    fmt::format_to(out, "split {}:", named(split));
    for (const auto& [name, count] : classes) fmt::format_to(out, " {} {}", named(name), count);
    fmt::format_to(out, "\n");
  }
  if (!report.seconds.empty()) {
    const double total = std::accumulate(report.seconds.begin(), report.seconds.end(), 0.0);
    fmt::format_to(out, "durations: total {:.2f} h, min {:.2f} s, median {:.2f} s, max {:.2f} s\n",
                   total / 3600.0, report.seconds.front(),
                   report.seconds[report.seconds.size() / 2], report.seconds.back());
  }
  append_list(text, "missing, unreadable or empty audio", report.bad_audio);
  append_list(text, "empty text", report.empty_text);
  append_list(text, "texts in more than one split", report.leaked_texts);
  append_list(text, "groups in more than one split", report.leaked_groups);
  return text;
}

}  // namespace polyphony::corpus
