#include <polyphony/config/compose/sweep.h>

#include <algorithm>
#include <cmath>
#include <random>

#include <fmt/format.h>

#include <polyphony/config/compose/decimal.h>
#include <polyphony/config/compose/override.h>
#include <polyphony/config/compose/repository.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

/// More values or jobs than this are taken for a mistake.
constexpr std::size_t kMaxValues = 100'000;

[[noreturn]] void fail(const char* type, const Override& change, const std::string& fact,
                       const std::string& remedy) {
  throw ComposeError(type, fmt::format("'{}': {}", change.text, fact), remedy, change.key,
                     {std::make_shared<const std::string>("override " + change.text), 0});
}

void check_count(std::size_t count, const Override& change) {
  if (count < kMaxValues) return;
  fail("HydraException", change, fmt::format("more than {} values", kMaxValues),
       "give a larger step, or a smaller range");
}

/// Values of range(start, stop, step): integers, or decimals of 28 digits as Hydra adds them.
std::vector<Node> range_values(const Override& change) {
  const Sweep& sweep = *change.sweep;
  std::vector<Node> values;
  const auto is_int = [](const Node& node) { return node.kind() == Node::Kind::kInt; };
  if (is_int(sweep.start) && is_int(sweep.stop) && is_int(sweep.step)) {
    const std::int64_t stop = sweep.stop.as_int(), step = sweep.step.as_int();
    if (step == 0) fail("ValueError", change, "range() with step 0", "give another step");
    for (std::int64_t value = sweep.start.as_int(); step > 0 ? value < stop : value > stop;) {
      values.emplace_back(value);
      check_count(values.size(), change);
      if (__builtin_add_overflow(value, step, &value)) break;
    }
    return values;
  }
  for (const Node* bound : {&sweep.start, &sweep.stop, &sweep.step}) {
    if (std::isfinite(bound->as_float())) continue;
    fail("HydraException", change, "range() wants finite numbers", "give the range an end");
  }
  const Decimal stop(sweep.stop), step(sweep.step);
  if (step.sign() == 0) {
    fail("HydraException", change, "Invalid range values (step 0)", "give another step");
  }
  Decimal value(sweep.start);
  while (value.compare(stop) == -step.sign()) {
    values.emplace_back(value.to_double());
    check_count(values.size(), change);
    value = value + step;
  }
  return values;
}

std::vector<Node> glob_values(const Sweep& sweep, const std::vector<std::string>& options) {
  const auto any = [](const std::vector<std::string>& patterns, const std::string& name) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return matches_glob(name, pattern); });
  };
  std::vector<Node> values;
  for (const std::string& name : options) {
    if (any(sweep.include, name) && !any(sweep.exclude, name)) values.emplace_back(name);
  }
  return values;
}

/// The overrides of hydra.sweeper.params, before those of the command line.
std::vector<std::string> parameters_of(const Composition& master) {
  std::vector<std::string> texts;
  const Node* params = master.hydra.select("sweeper.params");
  if (params == nullptr) return texts;
  for (const auto& [key, value] : params->entries()) {
    texts.push_back(python_str(key) + "=" + python_str(value));
  }
  return texts;
}

std::vector<std::size_t> batches_of(std::size_t jobs, const Composition& master) {
  const Node* limit = master.hydra.select("sweeper.max_batch_size");
  if (limit == nullptr || limit->kind() != Node::Kind::kInt) return {jobs};
  if (limit->as_int() <= 0) {
    throw ComposeError("AssertionError", "hydra.sweeper.max_batch_size must be positive",
                       "null runs all jobs as one batch", "hydra.sweeper.max_batch_size",
                       limit->mark());
  }
  const auto size = static_cast<std::size_t>(limit->as_int());
  std::vector<std::size_t> batches;
  for (std::size_t left = jobs; left > 0; left -= batches.back()) {
    batches.push_back(std::min(size, left));
  }
  return batches;
}

}  // namespace

bool matches_glob(std::string_view name, std::string_view pattern) {
  std::size_t n = 0, p = 0;
  std::size_t star = pattern.npos, resume = 0;
  while (true) {
    bool good = false;
    std::size_t next = p + 1;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
      continue;
    }
    if (n == name.size()) return p == pattern.size();
    if (p < pattern.size()) {
      const char c = pattern[p];
      std::size_t close = pattern.npos;
      if (c == '[') {
        std::size_t from = p + 1;
        if (from < pattern.size() && pattern[from] == '!') ++from;
        close = pattern.find(']', from + 1);  // a ']' right after the bracket is a member
      }
      if (c == '?') {
        good = true;
      } else if (close != pattern.npos) {
        std::string_view set = pattern.substr(p + 1, close - p - 1);
        const bool negated = set.starts_with('!');
        if (negated) set.remove_prefix(1);
        bool inside = false;
        for (std::size_t i = 0; i < set.size(); ++i) {
          if (i + 2 < set.size() && set[i + 1] == '-') {
            inside |= set[i] <= name[n] && name[n] <= set[i + 2];
            i += 2;
          } else {
            inside |= set[i] == name[n];
          }
        }
        good = inside != negated;
        next = close + 1;
      } else {
        good = c == name[n];
      }
    }
    if (good) {
      p = next;
      ++n;
    } else if (star != pattern.npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
}

std::vector<std::string> sweep_values(const Override& change, const Repository* repository) {
  if (!change.sweep) return {change.value_text()};
  const Sweep& sweep = *change.sweep;
  std::vector<Node> values;
  switch (sweep.kind) {
    case Sweep::Kind::kChoice:
      if (sweep.nested) {
        fail("ValidationError", change, "a sweep inside a choice cannot be written out",
             "write its values into the outer one");
      }
      values = sweep.choices;
      break;
    case Sweep::Kind::kRange:
      values = range_values(change);
      break;
    case Sweep::Kind::kGlob:
      if (repository == nullptr) {
        fail("HydraException", change, "a glob needs the configuration's groups", "");
      }
      values = glob_values(sweep, repository->options(change.key));
      break;
    case Sweep::Kind::kInterval:
      fail("HydraException", change, "BasicSweeper does not support sweep type : INTERVAL_SWEEP",
           "use range(), choice(), or a search that draws values");
  }
  if (sweep.shuffle) {
    std::mt19937_64 order{std::random_device{}()};
    std::shuffle(values.begin(), values.end(), order);
  }
  std::vector<std::string> texts;
  for (const Node& value : values) texts.push_back(override_value_text(value));
  return texts;
}

SweepPlan expand_sweep(const ComposeRequest& request, Repository& repository) {
  SweepPlan plan;
  ComposeRequest first = request;
  first.multirun = true;
  plan.master = compose(first, repository);
  plan.hydra_overrides = plan.master.hydra_overrides;
  std::vector<std::string> texts = parameters_of(plan.master);
  texts.insert(texts.end(), plan.master.task_overrides.begin(), plan.master.task_overrides.end());

  std::vector<std::pair<std::string, std::vector<std::string>>> axes;
  for (const Override& change : parse_overrides(texts)) {
    const std::string key = change.key_element();
    std::vector<std::string> values = sweep_values(change, &repository);
    for (std::string& value : values) value = key + "=" + value;
    // A repeated key keeps its first position and takes its last value.
    const auto old =
        std::find_if(axes.begin(), axes.end(), [&](const auto& axis) { return axis.first == key; });
    if (old != axes.end()) {
      old->second = std::move(values);
    } else {
      axes.emplace_back(key, std::move(values));
    }
  }
  plan.jobs.emplace_back();
  for (const auto& [key, values] : axes) {
    if (plan.jobs.size() * values.size() > kMaxValues) {
      throw ComposeError("HydraException", fmt::format("more than {} jobs", kMaxValues),
                         "sweep over fewer values", key);
    }
    std::vector<std::vector<std::string>> next;
    next.reserve(plan.jobs.size() * values.size());
    for (const auto& job : plan.jobs) {
      for (const std::string& text : values) {
        next.push_back(job);
        next.back().push_back(text);
      }
    }
    plan.jobs = std::move(next);
  }
  plan.batches = batches_of(plan.jobs.size(), plan.master);
  return plan;
}

SweepPlan expand_sweep(const ComposeRequest& request) {
  Repository repository = repository_of(request);
  return expand_sweep(request, repository);
}

ComposeRequest job_request(const ComposeRequest& request, const SweepPlan& plan, std::size_t job) {
  ComposeRequest out = request;
  out.multirun = false;
  out.overrides = plan.hydra_overrides;
  out.overrides.insert(out.overrides.end(), plan.jobs[job].begin(), plan.jobs[job].end());
  return out;
}

}  // namespace polyphony::config
