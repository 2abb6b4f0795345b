#include <polyphony/train/loops/metric_log.h>

#include <polyphony/train/loops/hooks.h>

namespace polyphony::train {

using tensor::Value;

namespace {

Value dict_of(const MetricValues& values) {
  Value dict = Value::dict();
  for (const auto& [name, value] : values) dict.set(name, Value(value));
  return dict;
}

MetricValues values_of(const Value& dict) {
  MetricValues values;
  for (const auto& [name, value] : dict.entries()) {
    values.emplace_back(name.as_string(), value.as_float());
  }
  return values;
}

}  // namespace

MetricLog::MetricLog(std::vector<std::unique_ptr<Logger>>& loggers, dist::Collective& collective)
    : loggers_(loggers), collective_(collective), hook_(&kHooks.setup) {
  for (const Stage stage : {Stage::kTrain, Stage::kValidate, Stage::kTest, Stage::kPredict}) {
    results_.emplace_back(stage == Stage::kTrain);
  }
}

Stage MetricLog::enter(Stage stage) {
  std::swap(stage, stage_);
  return stage;
}

void MetricLog::log(std::string_view name, double value, LogOptions options) {
  double weight = options.batch_size > 0 ? static_cast<double>(options.batch_size) : rows_;
  if (rows_ == 0) weight = 0;  // a batch that only keeps step with other processes'
  options.batch_size = 0;      // a weight, not an option: it changes with the batch
  if (!options.on_step) options.on_step = hook_->logs_steps;
  if (!options.on_epoch) options.on_epoch = !hook_->logs_steps;
  double newest = value;
  // Training steps come to every process; other batches need not, so their values stay apart.
  const bool shared = options.sync_dist && !options.rank_zero_only && stage_ == Stage::kTrain;
  if (*options.on_step && shared) collective_.reduce({&newest, 1}, options.reduce_fx);
  results().add(hook_->name, name, options, {value, newest, weight});
}

void MetricLog::on_batch_start(double rows) {
  rows_ = rows;
  epoch_ended_ = false;
}

void MetricLog::epoch_end_reached() {
  epoch_ended_ = true;
  rows_ = 1;
}

void MetricLog::take_newest() {
  if (epoch_ended_) results().synchronize(collective_);
  results().visit(!epoch_ended_, [this](const Results::View& view) {
    if (view.logger) set_value(logged_, view.forked, view.value);
    if (view.callback) {
      set_value(callback_, view.name, view.value);
      if (view.forked != view.name) set_value(callback_, view.forked, view.value);
    }
    if (view.prog_bar) set_value(progress_bar_, view.forked, view.value);
  });
}

const MetricValues& MetricLog::callback_metrics() {
  take_newest();
  return callback_;
}

void MetricLog::reset_results() {
  results().reset();
  rows_ = 1;
}

void MetricLog::reset_metrics() {
  callback_.clear();
  logged_.clear();
  progress_bar_.clear();
}

MetricValues MetricLog::flush(std::int64_t step, std::int64_t epoch) {
  if (epoch_ended_) results().synchronize(collective_);
  MetricValues row;
  results().visit(!epoch_ended_, [&row](const Results::View& view) {
    if (view.logger) set_value(row, view.forked, view.value);
  });
  write(row, step, epoch);
  return row;
}

void MetricLog::write(const MetricValues& values, std::int64_t step, std::int64_t epoch) {
  if (values.empty()) return;
  for (const auto& [name, value] : values) set_value(logged_, name, value);
  ++written_;
  for (const auto& logger : loggers_) logger->log_metrics(values, step, epoch);
}

void MetricLog::save_loggers() {
  for (const auto& logger : loggers_) logger->save();
}

void MetricLog::keep(Kept& kept) const {
  kept.train.assign(1, results_[0]);
  kept.callback = callback_;
  kept.logged = logged_;
  kept.progress_bar = progress_bar_;
  kept.rows = rows_;
  kept.written = written_;
}

Value MetricLog::state() const {
  Kept now;
  keep(now);
  return state_of(now);
}

Value MetricLog::state_of(const Kept& kept) const {
  Value state = Value::dict();
  state.set("train", kept.train.front().state());
  state.set("callback_metrics", dict_of(kept.callback));
  state.set("logged_metrics", dict_of(kept.logged));
  state.set("progress_bar_metrics", dict_of(kept.progress_bar));
  state.set("rows", Value(kept.rows));
  Value loggers = Value::list();
  for (const auto& logger : loggers_) {
    loggers.append(logger->state_dict_before(written_ - kept.written));
  }
  state.set("loggers", std::move(loggers));
  return state;
}

void MetricLog::load_state(const Value& state) {
  results_[0].load_state(state.at("train"));
  callback_ = values_of(state.at("callback_metrics"));
  logged_ = values_of(state.at("logged_metrics"));
  progress_bar_ = values_of(state.at("progress_bar_metrics"));
  if (const Value* rows = state.find("rows")) rows_ = rows->as_float();
  const std::vector<Value>& saved = state.at("loggers").items();
  for (std::size_t i = 0; i < saved.size() && i < loggers_.size(); ++i) {
    loggers_[i]->load_state_dict(saved[i]);
  }
}

void MetricLog::merge_state(const Value& other) { results_[0].merge(other.at("train")); }

void MetricLog::forget_counts() { results_[0].forget_counts(); }

}  // namespace polyphony::train
