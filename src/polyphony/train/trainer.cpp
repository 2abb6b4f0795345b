#include <polyphony/train/trainer.h>

#include <algorithm>
#include <cmath>

#include <ATen/Context.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/anomaly_mode.h>

#include <polyphony/base/error.h>
#include <polyphony/base/leftovers.h>
#include <polyphony/base/signals.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/checkpoint.h>
#include <polyphony/train/evaluation_loop.h>
#include <polyphony/train/fit_loop.h>
#include <polyphony/train/last_step.h>
#include <polyphony/train/precision.h>
#include <polyphony/train/stopping.h>

namespace polyphony::train {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kRunningLosses = 20;

/// While it lives, LibTorch looks for the operation that makes a gradient NaN.
class Anomalies {
 public:
  explicit Anomalies(bool on) { torch::autograd::AnomalyMode::set_enabled(on); }
  ~Anomalies() { torch::autograd::AnomalyMode::set_enabled(false); }
  Anomalies(const Anomalies&) = delete;
  Anomalies& operator=(const Anomalies&) = delete;
};

/// Whether a callback limits the time, so that nothing else has to.
bool has_timer(const std::vector<std::unique_ptr<Callback>>& callbacks) {
  return std::any_of(callbacks.begin(), callbacks.end(),
                     [](const auto& callback) { return callback->name() == "Timer"; });
}

}  // namespace

Trainer::Trainer(TrainerOptions options, fs::path root, TrainerParts parts)
    : options_(settled(std::move(options), has_timer(parts.callbacks))),
      root_(options_.default_root_dir ? fs::path(*options_.default_root_dir) : std::move(root)),
      parts_(std::move(parts)),
      strategy_(parts_.strategy ? std::move(parts_.strategy) : make_strategy(options_)),
      profiler_(options_.profiler, root_) {
  check_precision(options_.precision);
  for (const auto& callback : parts_.callbacks) order_.push_back(callback.get());
  std::stable_partition(order_.begin(), order_.end(),
                        [](const Callback* callback) { return !callback->saves_checkpoints(); });
  // As Lightning: fast_dev_run writes nothing.
  if (!strategy_->is_global_zero() || options_.fast_dev_run.count > 0) parts_.loggers.clear();
  log_ = std::make_unique<MetricLog>(
      parts_.loggers,
      [this](std::span<double> values, ReduceFx fx) { strategy_->reduce(values, fx); },
      [this](std::string text) { return strategy_->broadcast(std::move(text)); });
}

Trainer::~Trainer() = default;

fs::path Trainer::checkpoint_directory() const {
  for (const Callback* callback : order_) {
    if (fs::path directory = callback->checkpoint_directory(); !directory.empty()) return directory;
  }
  return root_ / "checkpoints";
}

void Trainer::run(Task& task, const std::function<void()>& work) {
  task_ = &task;
  task.set_trainer(this);
  profiler_.start();
  try {
    call("setup", &Callback::setup);
    work();
    call("teardown", &Callback::teardown);
  } catch (const std::exception& error) {
    end_after(error);
    fitting_ = sanity_checking_ = false;
    task.set_trainer(nullptr);
    throw;
  }
  for (const auto& logger : parts_.loggers) logger->save();
  profiler_.finish();
  task.set_trainer(nullptr);
}

namespace {

/// Does what is left to do after an error, which goes on to the caller whatever comes of this.
void attempt(const char* what, const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    fmt::print(stderr, "warning: after an error, {} failed too: {}\n", what, error.what());
  }
}

}  // namespace

bool Trainer::saves_after_failure() const {
  if (options_.fast_dev_run.count > 0 || !is_global_zero()) return false;
  return options_.enable_checkpointing ||
         std::any_of(order_.begin(), order_.end(),
                     [](const Callback* callback) { return callback->saves_checkpoints(); });
}

void Trainer::end_after(const std::exception& error) {
  const bool stopped = dynamic_cast<const Interrupted*>(&error) != nullptr;
  if (fitting_ && last_step_ && !stopped) {
    attempt("saving the last completed step", [&] { last_step_->save(); });
  }
  last_step_.reset();
  for (Callback* callback : order_) {
    attempt("on_exception of a callback", [&] { callback->on_exception(*this, error); });
  }
  for (const auto& logger : parts_.loggers) {
    attempt("a logger's end", [&] { logger->finalize("failed"); });
  }
  attempt("telling the other processes", [&] { strategy_->fail(error); });
  attempt("leaving the other processes", [&] { strategy_->teardown(); });
}

void Trainer::begin_fit(Task& task, data::Loader& train, data::Loader* val) {
  fitting_ = true;
  should_stop_ = false;
  progress_ = {};
  losses_.clear();
  log_->reset_metrics();
  accumulate_grad_batches_ = options_.accumulate_grad_batches;
  train_loader_ = &train;
  order_of_epochs_ = train.order();
  resume_choice_ = {};
  num_training_batches_ = batches_of_whole_epochs_ =
      limited_batches(train, options_.limit_train_batches, "limit_train_batches");
  num_val_batches_ =
      val == nullptr ? 0 : limited_batches(*val, options_.limit_val_batches, "limit_val_batches");
  at::globalContext().setBenchmarkCuDNN(options_.benchmark);
  optimization_ = task.configure_optimizers();
  if (!optimization_.optimizer) {
    throw ConfigError("the task configures no optimizer",
                      "give it one: Task::optimize_with, or `optimizer` in the configuration");
  }
  total_steps_ = estimated_stepping_batches();
  configured_schedule_ = optimization_.schedule.get();
  if (optimization_.schedule) {
    optimization_.schedule->attach(*optimization_.optimizer, total_steps_);
  }
}

void Trainer::fit(Task& task, data::Loader& train, data::Loader* val, const fs::path& resume) {
  const StopSignals signals;
  const Anomalies anomalies(options_.detect_anomaly);
  run(task, [&] {
    if (is_global_zero()) {
      remove_leftovers(checkpoint_directory());
      if (!resume.empty()) remove_leftovers(resume.parent_path());
    }
    begin_fit(task, train, val);
    resumed_from_ = resume;
    tensor::Value checkpoint;
    if (!resume.empty()) {
      checkpoint = tensor::load_archive(resume);
      restore_model_and_callbacks(*this, checkpoint, resume);
    }
    strategy_->setup(task);
    call("on_fit_start", &Callback::on_fit_start);
    task.on_fit_start();
    for (const auto& logger : parts_.loggers) logger->log_hyperparams(parts_.hyper_parameters);
    at::Tensor rng;
    if (!resume.empty()) {
      rng = restore_training_state(*this, checkpoint, resume);
      checkpoint = {};
    } else if (val != nullptr) {
      sanity_check(*val);
    }
    if (saves_after_failure()) last_step_ = std::make_unique<LastStep>(*this);
    FitLoop(*this, train, val).run(rng);
    strategy_->share_buffers();
    strategy_->teardown();
    call("on_fit_end", &Callback::on_fit_end);
    task.on_fit_end();
    last_step_.reset();
    fitting_ = false;
  });
}

void Trainer::sanity_check(data::Loader& val) {
  const std::int64_t wanted = options_.num_sanity_val_steps;
  const std::int64_t batches = wanted == -1 ? num_val_batches_ : std::min(wanted, num_val_batches_);
  if (batches == 0) return;
  const at::Tensor rng = tensor::generator_state();
  sanity_checking_ = true;
  log_->reset_metrics();
  const BeforeEvaluation before(*this);
  call("on_sanity_check_start", &Callback::on_sanity_check_start);
  try {
    run_evaluation(*this, val, Stage::kValidate, batches);
  } catch (const Interrupted& stop) {
    sanity_checking_ = false;
    save_interrupted(*this, stop.signal_number(), &before);
  }
  call("on_sanity_check_end", &Callback::on_sanity_check_end);
  log_->reset_metrics();
  sanity_checking_ = false;
  tensor::set_generator_state(rng);
}

MetricValues Trainer::evaluate(Task& task, data::Loader& loader, Stage stage) {
  MetricValues values;
  run(task, [&] {
    log_->reset_metrics();
    const bool testing = stage == Stage::kTest;
    const std::int64_t batches =
        limited_batches(loader, testing ? options_.limit_test_batches : options_.limit_val_batches,
                        testing ? "limit_test_batches" : "limit_val_batches");
    values = run_evaluation(*this, loader, stage, batches);
  });
  return values;
}

MetricValues Trainer::validate(Task& task, data::Loader& loader) {
  return evaluate(task, loader, Stage::kValidate);
}

MetricValues Trainer::test(Task& task, data::Loader& loader) {
  return evaluate(task, loader, Stage::kTest);
}

at::Tensor Trainer::predict(Task& task, data::Loader& loader) {
  at::Tensor logits;
  run(task, [&] {
    logits = run_prediction(
        *this, loader,
        limited_batches(loader, options_.limit_predict_batches, "limit_predict_batches"));
  });
  return logits;
}

std::optional<std::int64_t> Trainer::estimated_stepping_batches() const {
  const std::int64_t steps = options_.max_steps;
  const std::int64_t epochs = max_epochs();
  if (epochs == -1) return steps == -1 ? std::nullopt : std::optional(steps);
  const std::int64_t group = accumulate_grad_batches_;
  const std::int64_t of_epochs =
      (batches_of_whole_epochs_ + group - 1) / group * std::max<std::int64_t>(epochs, 1);
  return steps == -1 ? of_epochs : std::min(steps, of_epochs);
}

bool Trainer::should_update_logs() const {
  if (should_stop_ || options_.fast_dev_run.count > 0) return true;
  const std::int64_t every = options_.log_every_n_steps;
  return every > 0 && (progress_.batches_that_stepped + 1) % every == 0;
}

void Trainer::set_schedule(std::unique_ptr<optim::Schedule> schedule) {
  if (last_step_) last_step_->keep_schedule();
  optimization_.schedule = std::move(schedule);
}

void Trainer::add_loss(double loss) {
  newest_loss_ = loss;
  if (losses_.size() < kRunningLosses) {
    losses_.push_back(loss);
    return;
  }
  losses_[next_loss_++ % kRunningLosses] = loss;
}

double Trainer::running_loss() const {
  double sum = 0;
  for (const double loss : losses_) sum += loss;
  return losses_.empty() ? 0 : sum / static_cast<double>(losses_.size());
}

void Trainer::log(std::string_view name, double value, const LogOptions& options) {
  log_->log(hook_, name, value, options);
}

void Trainer::log_row(const MetricValues& values) {
  log_->write(values, progress_.batches_that_stepped, progress_.epoch);
}

}  // namespace polyphony::train
