#include <polyphony/callbacks/checkpoint_name.h>

#include <vector>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::callbacks {
namespace {

/// "{name" of every group, in order: what stands from a brace to the next colon or brace.
std::vector<std::string> groups_of(const std::string& pattern) {
  std::vector<std::string> groups;
  std::size_t at = 0;
  while ((at = pattern.find('{', at)) != std::string::npos) {
    const std::size_t end = pattern.find_first_of(":}", at);
    if (end == std::string::npos) break;
    groups.push_back(pattern.substr(at, end - at));
    at = end + 1;
  }
  return groups;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

/// Python's repr of a float: the shortest text that reads back, with a point.
std::string repr(double value) {
  std::string text = fmt::format("{}", value);
  return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text;
}

/// A value in Python's format.
std::string format_value(double value, bool whole, const std::string& spec) {
  const auto runtime = [&](auto number) {
    return fmt::format(fmt::runtime("{:" + spec + "}"), number);
  };
  const bool as_float =
      !spec.empty() && std::string("eEfFgG").find(spec.back()) != std::string::npos;
  if (whole && !as_float) return runtime(static_cast<std::int64_t>(value));
  return spec.empty() ? repr(value) : runtime(value);
}

}  // namespace

std::string checkpoint_name(const std::string& pattern, const train::MetricValues& metrics,
                            std::int64_t epoch, std::int64_t step, bool insert_names) {
  std::string text = pattern;
  for (const std::string& group : groups_of(pattern)) {  // as Lightning: by replacing text
    const std::string name = group.substr(1);
    if (insert_names) replace_all(text, group, name + "={" + name);
    replace_all(text, group, "{0[" + name + "]");
  }
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    if (text.compare(at, 3, "{0[") != 0) {
      const bool doubled =
          at + 1 < text.size() && (text[at] == '{' || text[at] == '}') && text[at + 1] == text[at];
      result += text[at];
      at += doubled ? 2 : 1;
      continue;
    }
    const std::size_t close = text.find(']', at);
    const std::size_t end = text.find('}', at);
    if (close == std::string::npos || end == std::string::npos || close > end) {
      throw ConfigError(fmt::format("ModelCheckpoint.filename: '{}' has an open group", pattern),
                        "close it, e.g. {epoch:02d}");
    }
    const std::string name = text.substr(at + 3, close - at - 3);
    const std::string spec = text[close + 1] == ':' ? text.substr(close + 2, end - close - 2) : "";
    const double* logged = train::find_value(metrics, name);
    const bool counts = name == "epoch" || name == "step";
    const double value = name == "epoch"     ? static_cast<double>(epoch)
                         : name == "step"    ? static_cast<double>(step)
                         : logged == nullptr ? 0.0
                                             : static_cast<double>(static_cast<float>(*logged));
    try {
      result += format_value(value, counts || logged == nullptr, spec);
    } catch (const fmt::format_error& error) {
      throw ConfigError(fmt::format("ModelCheckpoint.filename: '{}': {}", pattern, error.what()),
                        "write a format as Python's, e.g. {epoch:02d} or {val_loss:.3f}");
    }
    at = end + 1;
  }
  return result;
}

}  // namespace polyphony::callbacks
