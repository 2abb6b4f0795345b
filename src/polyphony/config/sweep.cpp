#include <polyphony/config/sweep.h>

#include <fnmatch.h>

#include <algorithm>
#include <random>

#include <fmt/format.h>

#include <polyphony/config/errors.h>
#include <polyphony/config/override.h>
#include <polyphony/config/repository.h>

namespace polyphony::config {
namespace {

/// Values of range(start, stop, step), in long double. Hydra adds 28-digit decimals: the number of
/// values agrees, but the last digit of a value may differ (see tests/config/known_gaps.txt).
std::vector<Node> range_values(const Sweep& sweep) {
  std::vector<Node> values;
  const auto is_int = [](const Node& node) { return node.kind() == Node::Kind::kInt; };
  const bool whole = is_int(sweep.start) && is_int(sweep.stop) && is_int(sweep.step);
  const long double start = sweep.start.as_float(), stop = sweep.stop.as_float();
  const long double step = sweep.step.as_float();
  if (step == 0) throw ComposeError("ValueError", "range() with step 0", "give another step");
  for (std::int64_t i = 0;; ++i) {
    const long double value = start + static_cast<long double>(i) * step;
    if (step > 0 ? value >= stop : value <= stop) return values;
    values.push_back(whole ? Node(static_cast<std::int64_t>(value))
                           : Node(static_cast<double>(value)));
  }
}

std::vector<Node> glob_values(const Sweep& sweep, const std::vector<std::string>& options) {
  const auto matches = [](const std::vector<std::string>& patterns, const std::string& name) {
    return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
      return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
    });
  };
  std::vector<Node> values;
  for (const std::string& name : options) {
    if (matches(sweep.include, name) && !matches(sweep.exclude, name)) values.emplace_back(name);
  }
  return values;
}

std::vector<std::string> expand(const Override& change, const Repository& repository) {
  std::vector<Node> values;
  if (!change.sweep) {
    values = {change.value};
  } else {
    const Sweep& sweep = *change.sweep;
    switch (sweep.kind) {
      case Sweep::Kind::kChoice:
        values = sweep.choices;
        break;
      case Sweep::Kind::kRange:
        values = range_values(sweep);
        break;
      case Sweep::Kind::kGlob:
        values = glob_values(sweep, repository.options(change.key));
        break;
      case Sweep::Kind::kInterval: {
        const Mark mark{std::make_shared<const std::string>("override " + change.text), 0};
        throw ComposeError("HydraException", "an interval cannot be enumerated",
                           "use range(), choice(), or a search that draws values", change.key,
                           mark);
      }
    }
    if (sweep.shuffle) {
      std::mt19937_64 order{std::random_device{}()};
      std::shuffle(values.begin(), values.end(), order);
    }
  }
  std::vector<std::string> texts;
  for (const Node& value : values)
    texts.push_back(change.key_element() + "=" + override_value_text(value));
  return texts;
}

}  // namespace

SweepPlan expand_sweep(const ComposeRequest& request) {
  std::vector<std::filesystem::path> roots{request.config_dir};
  roots.insert(roots.end(), request.search_path.begin(), request.search_path.end());
  const Repository repository(std::move(roots), request.version_base == "1.1");
  SweepPlan plan;
  std::vector<std::pair<std::string, std::vector<std::string>>> axes;
  for (const Override& change : parse_overrides(request.overrides)) {
    const std::string key = change.key_element();
    if (change.key == "hydra" || change.key.starts_with("hydra.") ||
        change.key.starts_with("hydra/")) {
      plan.hydra_overrides.push_back(change.text);
      continue;
    }
    // A repeated key keeps its first position and takes its last value.
    const auto old =
        std::find_if(axes.begin(), axes.end(), [&](const auto& axis) { return axis.first == key; });
    std::vector<std::string> texts = expand(change, repository);
    if (old != axes.end()) {
      old->second = std::move(texts);
    } else {
      axes.emplace_back(key, std::move(texts));
    }
  }
  plan.jobs.emplace_back();
  for (const auto& [key, texts] : axes) {
    std::vector<std::vector<std::string>> next;
    for (const auto& job : plan.jobs) {
      for (const std::string& text : texts) {
        next.push_back(job);
        next.back().push_back(text);
      }
    }
    plan.jobs = std::move(next);
  }
  return plan;
}

}  // namespace polyphony::config
