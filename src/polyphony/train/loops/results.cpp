#include <polyphony/train/loops/results.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

namespace polyphony::train {

using tensor::Value;

void Results::clear(Entry& entry) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  entry.value = entry.options.reduce_fx == ReduceFx::kMin   ? kInfinity
                : entry.options.reduce_fx == ReduceFx::kMax ? -kInfinity
                                                            : 0.0;
  entry.weight = 0;
  entry.fresh = true;
  entry.reduced = false;
}

Results::Entry& Results::entry(std::string_view hook, std::string_view name,
                               const LogOptions& options) {
  for (Entry& entry : entries_) {
    if (entry.name != name || entry.hook != hook) continue;
    if (entry.options == options) return entry;
    throw std::logic_error(fmt::format("{} logs '{}' twice with different options", hook, name));
  }
  if (!*options.on_step && !*options.on_epoch) {
    throw std::logic_error(fmt::format("{} logs '{}' neither on_step nor on_epoch", hook, name));
  }
  Entry& made = entries_.emplace_back();
  made.hook = hook;
  made.name = name;
  const bool forked = *options.on_step && *options.on_epoch;
  made.step_name = forked ? made.name + "_step" : made.name;
  made.epoch_name = forked ? made.name + "_epoch" : made.name;
  made.options = options;
  clear(made);
  return made;
}

void Results::add(std::string_view hook, std::string_view name, const LogOptions& options,
                  const Logged& logged) {
  Entry& e = entry(hook, name, options);
  const auto [value, newest, weight] = logged;
  if (weight == 0) return;
  e.fresh = false;
  e.last = newest;
  e.reduced = false;
  if (!*options.on_epoch) return;
  if (options.sync_dist && !options.rank_zero_only) synchronized_ = false;
  switch (options.reduce_fx) {
    case ReduceFx::kMean:
      e.value += value * weight;
      e.weight += weight;
      return;
    case ReduceFx::kSum:
      e.value += value;
      return;
    case ReduceFx::kMin:
      e.value = std::min(e.value, value);
      return;
    case ReduceFx::kMax:
      e.value = std::max(e.value, value);
      return;
  }
}

double Results::epoch_value(const Entry& entry) {
  return entry.options.reduce_fx == ReduceFx::kMean ? entry.value / entry.weight : entry.value;
}

void Results::visit(bool on_step, const std::function<void(const View&)>& visitor) {
  for (const Entry& entry : entries_) {
    if (entry.fresh || !(on_step ? *entry.options.on_step : *entry.options.on_epoch)) continue;
    const double value = on_step ? entry.last : epoch_value(entry);
    const bool callback = training_ || !on_step;
    visitor({entry.name, on_step ? entry.step_name : entry.epoch_name, value, entry.options.logger,
             entry.options.prog_bar, callback});
  }
}

namespace {

LogOptions options_of(const Value& item) {
  LogOptions options;
  options.on_step = item.at("on_step").as_bool();
  options.on_epoch = item.at("on_epoch").as_bool();
  options.prog_bar = item.at("prog_bar").as_bool();
  options.logger = item.at("logger").as_bool();
  options.sync_dist = item.at("sync_dist").as_bool();
  options.rank_zero_only = item.at("rank_zero_only").as_bool();
  options.reduce_fx = static_cast<ReduceFx>(item.at("reduce_fx").as_int());
  return options;
}

}  // namespace

void Results::synchronize(dist::Collective& collective) {
  if (synchronized_) return;
  synchronized_ = true;
  // Rank 0 has rows if any process has.
  const Value states = collective.gather(state());
  for (const Value& item : states.items().front().items()) {
    const LogOptions o = options_of(item);
    const bool open = !item.at("fresh").as_bool() && !item.at("reduced").as_bool();
    if (!open || !*o.on_epoch || !o.sync_dist || o.rank_zero_only) continue;
    Entry& e = entry(item.at("hook").as_string(), item.at("name").as_string(), o);
    double both[] = {e.value, e.weight};
    if (o.reduce_fx == ReduceFx::kMean) {
      collective.reduce(both, ReduceFx::kSum);
    } else {
      collective.reduce({both, 1}, o.reduce_fx);
    }
    e.value = both[0];
    e.weight = both[1];
    e.fresh = false;
    e.reduced = true;
  }
}

void Results::reset() {
  synchronized_ = false;
  for (Entry& entry : entries_) clear(entry);
}

Value Results::state() const {
  Value state = Value::list();
  for (const Entry& entry : entries_) {
    Value item = Value::dict();
    item.set("hook", Value(entry.hook));
    item.set("name", Value(entry.name));
    item.set("on_step", Value(*entry.options.on_step));
    item.set("on_epoch", Value(*entry.options.on_epoch));
    item.set("prog_bar", Value(entry.options.prog_bar));
    item.set("logger", Value(entry.options.logger));
    item.set("sync_dist", Value(entry.options.sync_dist));
    item.set("rank_zero_only", Value(entry.options.rank_zero_only));
    item.set("reduce_fx", Value(static_cast<std::int64_t>(entry.options.reduce_fx)));
    item.set("last", Value(entry.last));
    item.set("value", Value(entry.value));
    item.set("weight", Value(entry.weight));
    item.set("fresh", Value(entry.fresh));
    item.set("reduced", Value(entry.reduced));
    state.append(std::move(item));
  }
  return state;
}

void Results::load_state(const Value& state) {
  entries_.clear();
  synchronized_ = false;
  for (const Value& item : state.items()) {
    Entry& made = entry(item.at("hook").as_string(), item.at("name").as_string(), options_of(item));
    made.last = item.at("last").as_float();
    made.value = item.at("value").as_float();
    made.weight = item.at("weight").as_float();
    made.fresh = item.at("fresh").as_bool();
    made.reduced = item.at("reduced").as_bool();
    synchronized_ = synchronized_ || made.reduced;
  }
}

void Results::merge(const Value& other) {
  Results theirs(training_);
  theirs.load_state(other);
  for (const Entry& from : theirs.entries_) {
    const LogOptions& o = from.options;
    if (from.fresh || from.reduced || o.rank_zero_only) continue;
    Entry& to = entry(from.hook, from.name, o);
    if (to.reduced) continue;
    if (to.fresh) to.last = from.last;
    to.fresh = false;
    to.weight += from.weight;
    to.value = o.reduce_fx == ReduceFx::kMin   ? std::min(to.value, from.value)
               : o.reduce_fx == ReduceFx::kMax ? std::max(to.value, from.value)
                                               : to.value + from.value;
  }
}

void Results::forget_counts() {
  for (Entry& entry : entries_) {
    if (!entry.reduced) clear(entry);
  }
}

}  // namespace polyphony::train
