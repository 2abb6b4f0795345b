#include <polyphony/train/trainer.h>

#include <algorithm>
#include <numeric>

#include <ATen/Context.h>
#include <torch/csrc/autograd/anomaly_mode.h>

#include <polyphony/base/error.h>
#include <polyphony/base/leftovers.h>
#include <polyphony/base/notice.h>
#include <polyphony/base/signals.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/tensor/safetensors.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/loops/evaluation_loop.h>
#include <polyphony/train/loops/fit_checkpoint.h>
#include <polyphony/train/loops/fit_loop.h>
#include <polyphony/train/loops/last_step.h>
#include <polyphony/train/loops/stopping.h>
#include <polyphony/train/loops/trainer_state.h>
#include <polyphony/train/precision.h>

namespace polyphony::train {
namespace fs = std::filesystem;
namespace {

/// While it lives, LibTorch looks for the operation that makes a gradient NaN.
class Anomalies {
 public:
  explicit Anomalies(bool on) { torch::autograd::AnomalyMode::set_enabled(on); }
  ~Anomalies() { torch::autograd::AnomalyMode::set_enabled(false); }
  Anomalies(const Anomalies&) = delete;
  Anomalies& operator=(const Anomalies&) = delete;
};

/// Does what is left to do after an error, which goes on to the caller whatever comes of this.
void attempt(const char* what, const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    warn("after an error, {} failed too: {}", what, error.what());
  }
}

}  // namespace

Trainer::Trainer(TrainerOptions options, fs::path root, TrainerParts parts)
    : state_(std::make_unique<TrainerState>(*this, std::move(options), std::move(root),
                                            std::move(parts))) {
  check_precision(state_->options.precision);
}

Trainer::~Trainer() = default;

void Trainer::run(Task& task, const std::function<void()>& work) {
  TrainerState& state = *state_;
  state.task = &task;
  task.attach(this, &state.metrics);
  state.profiler.start();
  try {
    state.call(kHooks.setup);
    work();
    state.call(kHooks.teardown);
  } catch (const std::exception& error) {
    end_after(error);
    state.fitting = state.sanity_checking = false;
    task.attach(nullptr, nullptr);
    throw;
  }
  for (const auto& logger : state.parts.loggers) logger->save();
  state.profiler.finish();
  task.attach(nullptr, nullptr);
}

bool Trainer::saves_after_failure() const {
  const TrainerState& state = *state_;
  if (state.options.fast_dev_run.count > 0 || !is_global_zero()) return false;
  return state.options.enable_checkpointing ||
         std::any_of(state.callbacks.begin(), state.callbacks.end(),
                     [](const Callback* callback) { return callback->saves_checkpoints(); });
}

void Trainer::end_after(const std::exception& error) {
  TrainerState& state = *state_;
  const bool stopped = dynamic_cast<const Interrupted*>(&error) != nullptr;
  if (state.fitting && state.last_step && !stopped) {
    attempt("saving the last completed step", [&] { state.last_step->save(); });
  }
  state.last_step.reset();
  for (Callback* callback : state.callbacks) {
    attempt("on_exception of a callback", [&] { callback->on_exception(*this, error); });
  }
  for (const auto& logger : state.parts.loggers) {
    attempt("a logger's end", [&] { logger->finalize("failed"); });
  }
  attempt("leaving the other processes", [&] { state.strategy().teardown(); });
  attempt("telling the other processes", [&] { state.collective().fail(error); });
}

void Trainer::begin_fit(data::Loader& train, data::Loader* val) {
  TrainerState& state = *state_;
  state.fitting = true;
  state.should_stop = false;
  state.progress = {};
  state.losses.clear();
  state.metrics.reset_metrics();
  state.accumulate_grad_batches = state.options.accumulate_grad_batches;
  state.train_loader = &train;
  state.order_of_epochs = train.order();
  state.resume_choice = {};
  state.num_training_batches = state.batches_of_whole_epochs =
      limited_batches(train, state.options.limit_train_batches, "limit_train_batches");
  state.num_val_batches =
      val == nullptr ? 0
                     : limited_batches(*val, state.options.limit_val_batches, "limit_val_batches");
  at::globalContext().setBenchmarkCuDNN(state.options.benchmark);
  state.optimization = state.task->configure_optimizers();
  if (!state.optimization.optimizer) {
    throw ConfigError("the task configures no optimizer",
                      "give it one: Task::optimize_with, or `optimizer` in the configuration");
  }
  state.total_steps = estimated_stepping_batches();
  state.configured_schedule = state.schedule();
  if (state.schedule() != nullptr) state.schedule()->attach(optimizer(), state.total_steps);
}

void Trainer::fit(Task& task, data::Loader& train, data::Loader* val, const fs::path& resume) {
  const StopSignals signals;
  const Anomalies anomalies(options().detect_anomaly);
  TrainerState& state = *state_;
  run(task, [&] {
    if (is_global_zero()) {
      remove_leftovers(checkpoint_directory());
      if (!resume.empty()) remove_leftovers(resume.parent_path());
    }
    begin_fit(train, val);
    state.resumed_from = resume;
    tensor::Value checkpoint;
    if (!resume.empty()) {
      checkpoint = tensor::load_archive(resume);
      restore_model_and_callbacks(state, checkpoint, resume);
    }
    state.strategy().setup(task);
    state.call(kHooks.on_fit_start);
    for (const auto& logger : state.parts.loggers) {
      logger->log_hyperparams(state.parts.hyper_parameters);
    }
    at::Tensor rng;
    if (!resume.empty()) {
      rng = restore_training_state(state, checkpoint, resume);
      checkpoint = {};
    } else if (val != nullptr) {
      sanity_check(*val);
    }
    if (saves_after_failure()) state.last_step = std::make_unique<LastStep>(state);
    FitLoop(state, train, val).run(rng);
    state.strategy().share_buffers();
    state.strategy().teardown();
    state.call(kHooks.on_fit_end);
    state.last_step.reset();
    state.fitting = false;
  });
}

void Trainer::sanity_check(data::Loader& val) {
  TrainerState& state = *state_;
  const std::int64_t wanted = state.options.num_sanity_val_steps;
  const std::int64_t batches =
      wanted == -1 ? state.num_val_batches : std::min(wanted, state.num_val_batches);
  if (batches == 0) return;
  const at::Tensor rng = tensor::generator_state();
  state.sanity_checking = true;
  state.metrics.reset_metrics();
  const BeforeEvaluation before(state);
  state.call(kHooks.on_sanity_check_start);
  try {
    run_evaluation(state, val, Stage::kValidate, batches);
  } catch (const Interrupted& stop) {
    state.sanity_checking = false;
    save_interrupted(state, stop.signal_number(), &before);
  }
  state.call(kHooks.on_sanity_check_end);
  state.metrics.reset_metrics();
  state.sanity_checking = false;
  tensor::set_generator_state(rng);
}

MetricValues Trainer::evaluate(Task& task, data::Loader& loader, Stage stage) {
  MetricValues values;
  run(task, [&] {
    state_->metrics.reset_metrics();
    const bool testing = stage == Stage::kTest;
    const std::int64_t batches = limited_batches(
        loader, testing ? options().limit_test_batches : options().limit_val_batches,
        testing ? "limit_test_batches" : "limit_val_batches");
    values = run_evaluation(*state_, loader, stage, batches);
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
        *state_, loader,
        limited_batches(loader, options().limit_predict_batches, "limit_predict_batches"));
  });
  return logits;
}

void Trainer::save_checkpoint(const fs::path& path, Contents contents) {
  write_checkpoint(path, contents);
  announce_checkpoint(path);
}

Fingerprint Trainer::write_checkpoint(const fs::path& path, Contents contents) {
  const Profiler::Action action(state_->profiler, "save_checkpoint");
  if (path.extension() == ".safetensors") {
    tensor::TensorMap weights;
    for (const auto& [name, tensor] : task().state()) weights.emplace(name, tensor);
    if (!is_global_zero()) return {};
    tensor::save_safetensors(path, weights);
    return file_fingerprint(path);
  }
  const tensor::Value checkpoint = dump_checkpoint(*state_, contents);
  return is_global_zero() ? tensor::save_archive(path, checkpoint) : Fingerprint{};
}

void Trainer::announce_checkpoint(const fs::path& path) {
  collective().barrier();
  for (const auto& logger : state_->parts.loggers) logger->after_save_checkpoint(path);
}

const TrainerOptions& Trainer::options() const { return state_->options; }
const fs::path& Trainer::root() const { return state_->root; }

fs::path Trainer::checkpoint_directory() const {
  for (const Callback* callback : state_->callbacks) {
    if (fs::path directory = callback->checkpoint_directory(); !directory.empty()) return directory;
  }
  return root() / "checkpoints";
}

const fs::path& Trainer::resumed_from() const { return state_->resumed_from; }
ResumeChoice& Trainer::resume_choice() { return state_->resume_choice; }
const std::vector<std::unique_ptr<Callback>>& Trainer::callbacks() const {
  return state_->parts.callbacks;
}
Task& Trainer::task() const { return *state_->task; }
dist::Collective& Trainer::collective() const { return state_->collective(); }

std::int64_t Trainer::global_step() const { return state_->progress.global_step; }
std::int64_t Trainer::current_epoch() const { return state_->progress.epoch; }
std::int64_t Trainer::batch_in_epoch() const { return state_->progress.batch; }
std::int64_t Trainer::num_training_batches() const { return state_->num_training_batches; }
std::int64_t Trainer::num_val_batches() const { return state_->num_val_batches; }

std::optional<std::int64_t> Trainer::estimated_stepping_batches() const {
  const std::int64_t steps = options().max_steps;
  const std::int64_t epochs = max_epochs();
  if (epochs == -1) return steps == -1 ? std::nullopt : std::optional(steps);
  const std::int64_t group = state_->accumulate_grad_batches;
  const std::int64_t of_epochs =
      (state_->batches_of_whole_epochs + group - 1) / group * std::max<std::int64_t>(epochs, 1);
  return steps == -1 ? of_epochs : std::min(steps, of_epochs);
}

void Trainer::set_accumulate_grad_batches(int batches) {
  state_->accumulate_grad_batches = batches;
}
bool Trainer::fitting() const { return state_->fitting; }
bool Trainer::sanity_checking() const { return state_->sanity_checking; }
bool Trainer::validated() const { return state_->progress.validations > 0; }
void Trainer::request_stop() { state_->should_stop = true; }
bool Trainer::should_stop() const { return state_->should_stop; }

optim::Optimizer& Trainer::optimizer() const { return *state_->optimization.optimizer; }
optim::Schedule* Trainer::schedule() const { return state_->schedule(); }

void Trainer::set_schedule(std::unique_ptr<optim::Schedule> schedule) {
  if (state_->last_step) state_->last_step->keep_schedule();
  state_->optimization.schedule = std::move(schedule);
}

void Trainer::log(std::string_view name, double value, const LogOptions& options) {
  state_->metrics.log(name, value, options);
}

void Trainer::log_row(const MetricValues& values) {
  state_->metrics.write(values, state_->progress.batches_that_stepped, state_->progress.epoch);
}

bool Trainer::should_update_logs() const {
  if (state_->should_stop || options().fast_dev_run.count > 0) return true;
  const std::int64_t every = options().log_every_n_steps;
  return every > 0 && (state_->progress.batches_that_stepped + 1) % every == 0;
}

const MetricValues& Trainer::callback_metrics() { return state_->metrics.callback_metrics(); }
const MetricValues& Trainer::progress_bar_metrics() const {
  return state_->metrics.progress_bar_metrics();
}

double Trainer::running_loss() const {
  const std::vector<double>& losses = state_->losses;
  const double sum = std::accumulate(losses.begin(), losses.end(), 0.0);
  return losses.empty() ? 0 : sum / static_cast<double>(losses.size());
}

}  // namespace polyphony::train
