#include <polyphony/metrics/collection.h>

#include <algorithm>

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/metrics/batch.h>

namespace polyphony::metrics {

void MetricCollectionOptions::describe(config::Fields& f) {
  f.required("metrics", metrics, "the metrics, as a list or under names of one's own");
  f("prefix", prefix, "what every name begins with");
  f("postfix", postfix, "what every name ends with");
  f("logging", logging,
    "epoch: over all rows; batch_mean: the mean of the values of batches, as Lightning logs them "
    "where a module logs each batch's value");
}

MetricCollection::MetricCollection(const Options& options) : logging_(options.logging) {
  prefix_ = options.prefix.value_or("");
  postfix_ = options.postfix.value_or("");
  const config::Node& node = options.metrics.node;
  for (std::size_t i = 0; i < node.items().size(); ++i) {
    std::shared_ptr<const Metric> metric =
        config::build<Metric>(node.items()[i], fmt::format("metrics.{}", i));
    add(metric->name(), metric);
  }
  for (const auto& [key, item] : node.entries()) {
    add(key.as_string(), config::build<Metric>(item, "metrics." + key.as_string()));
  }
  finish();
}

MetricCollection::MetricCollection(std::vector<NamedMetric> metrics, Logging logging)
    : logging_(logging) {
  for (auto& [name, metric] : metrics) add(name, std::move(metric));
  finish();
}

MetricCollection::MetricCollection(std::vector<std::shared_ptr<const Metric>> metrics,
                                   Logging logging)
    : logging_(logging) {
  for (auto& metric : metrics) {
    const std::string name = metric->name();
    add(name, std::move(metric));
  }
  finish();
}

void MetricCollection::add(const std::string& name, std::shared_ptr<const Metric> metric) {
  for (const Member& member : members_) {
    if (member.name != name) continue;
    throw ConfigError(fmt::format("metrics: two metrics are named {}", name),
                      "write the metrics as a mapping and give each a name of its own");
  }
  std::shared_ptr<const Accumulator> accumulator = metric->accumulator();
  const auto same = std::find_if(groups_.begin(), groups_.end(), [&](const Group& group) {
    return group.accumulator->key() == accumulator->key();
  });
  const auto group = static_cast<std::size_t>(same - groups_.begin());
  if (same == groups_.end()) {
    keeps_rows_ = keeps_rows_ || accumulator->keeps_rows();
    groups_.push_back({accumulator, sums_});
    sums_ += accumulator->sums();
  }
  members_.push_back({name, std::move(metric), group});
}

void MetricCollection::finish() {
  batch_ = {std::vector<double>(sums_), std::vector<std::vector<double>>(groups_.size())};
  if (logging_ == Logging::kBatchMean) {
    blanks_ = answers(batch_);
    for (const auto& [name, value] : blanks_) {
      if (!value.data.empty()) continue;
      throw ConfigError(
          fmt::format("metrics: {} has as many values as rows: batches have no mean", name),
          "set multidim_average to global, or logging to epoch");
    }
  }
  reset();
}

MetricCollection MetricCollection::clone(const std::string& prefix,
                                         const std::optional<std::string>& postfix) const {
  MetricCollection other = *this;
  other.prefix_ = prefix;
  if (postfix) other.postfix_ = *postfix;
  other.finish();
  return other;
}

void MetricCollection::clear(State& state) const {
  std::fill(state.sums.begin(), state.sums.end(), 0.0);
  for (std::vector<double>& list : state.rows) list.clear();
}

void MetricCollection::reset() {
  state_ = {};
  if (logging_ == Logging::kEpoch) {
    state_.sums.resize(sums_);
    state_.rows.resize(groups_.size());
    return;
  }
  std::size_t values = 1;  // the rows
  for (const auto& [name, value] : blanks_) values += value.data.size();
  state_.sums.resize(values);
}

void MetricCollection::count(const at::Tensor& preds, const at::Tensor& target,
                             State& state) const {
  const Batch batch(preds, target);
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const Group& group = groups_[i];
    const std::span<double> sums(state.sums.data() + group.at, group.accumulator->sums());
    group.accumulator->update(batch, {sums, state.rows[i]});
  }
}

View MetricCollection::view(const State& counts, const Group& group) const {
  const std::span<const double> sums(counts.sums.data() + group.at, group.accumulator->sums());
  return {sums, counts.rows[static_cast<std::size_t>(&group - groups_.data())]};
}

NamedValues MetricCollection::answers(const State& counts) const {
  NamedValues values;
  values.reserve(members_.size());
  for (const Member& member : members_) {
    values.emplace_back(prefix_ + member.name + postfix_,
                        member.metric->compute(view(counts, groups_[member.group])));
  }
  return values;
}

void MetricCollection::update(const at::Tensor& preds, const at::Tensor& target) {
  if (logging_ == Logging::kEpoch) {
    count(preds, target, state_);
  } else {
    count_mean(preds, target);
  }
}

NamedValues MetricCollection::forward(const at::Tensor& preds, const at::Tensor& target) {
  if (logging_ == Logging::kBatchMean) return count_mean(preds, target);
  clear(batch_);
  count(preds, target, batch_);
  state_.merge(batch_);
  return answers(batch_);
}

NamedValues MetricCollection::count_mean(const at::Tensor& preds, const at::Tensor& target) {
  clear(batch_);
  count(preds, target, batch_);
  NamedValues values = answers(batch_);
  const auto rows = static_cast<double>(preds.dim() == 0 ? 1 : preds.size(0));
  std::size_t at = 0;
  state_.sums[at++] += rows;
  for (const auto& [name, value] : values) {
    for (const double number : value.data) state_.sums[at++] += rows * number;
  }
  return values;
}

NamedValues MetricCollection::means(const State& state) const {
  NamedValues values = blanks_;
  std::size_t at = 1;
  for (auto& [name, value] : values) {
    for (double& number : value.data) number = state.sums[at++] / state.sums[0];
  }
  return values;
}

NamedValues MetricCollection::compute(const State& state) const {
  check(state);
  return logging_ == Logging::kEpoch ? answers(state) : means(state);
}

void MetricCollection::check(const State& state) const {
  if (state.sums.size() == state_.sums.size() && state.rows.size() == state_.rows.size()) return;
  throw DataError(
      fmt::format("the metrics' state has {} sums and {} lists of rows, not {} and {}",
                  state.sums.size(), state.rows.size(), state_.sums.size(), state_.rows.size()),
      "resume with the metrics and the number of classes that the checkpoint was saved with");
}

void MetricCollection::load_state(State state) {
  check(state);
  state_ = std::move(state);
}

void MetricCollection::merge(const State& state) {
  check(state);
  state_.merge(state);
}

State MetricCollection::synced(const Exchange& exchange) const {
  return state_.over_processes(exchange, logging_ == Logging::kEpoch && keeps_rows_);
}

std::vector<std::pair<std::string, double>> scalars(const NamedValues& values) {
  std::vector<std::pair<std::string, double>> numbers;
  for (const auto& [name, value] : values) {
    if (value.is_number()) {
      numbers.emplace_back(name, value.data.front());
      continue;
    }
    for (std::size_t i = 0; i < value.data.size(); ++i) {
      numbers.emplace_back(fmt::format("{}_{}", name, i), value.data[i]);
    }
  }
  return numbers;
}

POLYPHONY_REGISTER(MetricCollection, MetricCollection, "polyphony.metrics.MetricCollection",
                   "metrics of the same rows, which share what they count")

}  // namespace polyphony::metrics
