#include <polyphony/train/training_arguments.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/optim/adamw.h>
#include <polyphony/optim/adamw_hf.h>
#include <polyphony/optim/schedules.h>

namespace polyphony::train {
namespace {

void describe_intervals(TrainingArgumentsOptions& o, config::Fields& f) {
  f("evaluation_strategy", o.evaluation_strategy, "when to evaluate; eval_strategy since 4.41");
  f("eval_strategy", o.eval_strategy, "the same, by its later name; 'no' where neither is given");
  f("eval_steps", o.eval_steps, "steps between evaluations; null: logging_steps");
  f.check("eval_steps", !o.eval_steps || *o.eval_steps >= 1, "at least 1");
  f("save_strategy", o.save_strategy, "when to save");
  f("save_steps", o.save_steps, "steps between savings");
  f.check("save_steps", o.save_steps >= 1, "at least 1");
  f("save_total_limit", o.save_total_limit, "checkpoints kept, the best one aside; null: all");
  f.check("save_total_limit", !o.save_total_limit || *o.save_total_limit >= 1, "at least 1");
  f("logging_strategy", o.logging_strategy, "when to log the loss");
  f("logging_steps", o.logging_steps, "steps between log lines");
  f.check("logging_steps", o.logging_steps >= 1, "at least 1");
}

void describe_optimization(TrainingArgumentsOptions& o, config::Fields& f) {
  f("learning_rate", o.learning_rate, "first rate");
  f.check("learning_rate", o.learning_rate >= 0, "at least 0");
  f("weight_decay", o.weight_decay, "of all but biases and layer norms");
  f.check("weight_decay", o.weight_decay >= 0, "at least 0");
  f("adam_beta1", o.adam_beta1, "decay of the running mean");
  f.check("adam_beta1", o.adam_beta1 >= 0 && o.adam_beta1 < 1, "in [0, 1)");
  f("adam_beta2", o.adam_beta2, "decay of the running square");
  f.check("adam_beta2", o.adam_beta2 >= 0 && o.adam_beta2 < 1, "in [0, 1)");
  f("adam_epsilon", o.adam_epsilon, "added to the denominator");
  f.check("adam_epsilon", o.adam_epsilon >= 0, "at least 0");
  f("max_grad_norm", o.max_grad_norm, "limit of the norm of all gradients; 0: none");
  f.check("max_grad_norm", o.max_grad_norm >= 0, "at least 0");
  f("optim", o.optim, "the optimizer");
  f("lr_scheduler_type", o.lr_scheduler_type, "linear: down to 0 at the last step");
  f("warmup_ratio", o.warmup_ratio, "share of all steps in which the rate comes up");
  f.check("warmup_ratio", o.warmup_ratio >= 0 && o.warmup_ratio <= 1, "in [0, 1]");
  f("warmup_steps", o.warmup_steps, "the same in steps; 0: by warmup_ratio");
  f.check("warmup_steps", o.warmup_steps >= 0, "at least 0");
  f("num_train_epochs", o.num_train_epochs, "how often to see every row");
  f.check("num_train_epochs", o.num_train_epochs > 0, "more than 0");
  f("max_steps", o.max_steps, "optimizer steps, instead of num_train_epochs; -1: by those");
  f("label_smoothing_factor", o.label_smoothing_factor, "share of the target spread over all");
  f.check("label_smoothing_factor", o.label_smoothing_factor >= 0 && o.label_smoothing_factor < 1,
          "in [0, 1)");
  f("gradient_checkpointing", o.gradient_checkpointing,
    "compute layers again in the backward pass");
  f("bf16", o.bf16, "mixed precision in the forward pass");
  f("fp16", o.fp16, "the same here: half precision is a GPU's");
  f.check("fp16", !o.fp16 || !o.bf16, "false where bf16 is true");
}

void describe_data(TrainingArgumentsOptions& o, config::Fields& f) {
  f("per_device_train_batch_size", o.per_device_train_batch_size, "rows of a training batch");
  f.check("per_device_train_batch_size", o.per_device_train_batch_size >= 1, "at least 1");
  f("per_device_eval_batch_size", o.per_device_eval_batch_size, "rows of a batch elsewhere");
  f.check("per_device_eval_batch_size", o.per_device_eval_batch_size >= 1, "at least 1");
  f("gradient_accumulation_steps", o.gradient_accumulation_steps, "batches of a step");
  f.check("gradient_accumulation_steps", o.gradient_accumulation_steps >= 1, "at least 1");
  f("seed", o.seed, "of initialisation, dropout and order");
  f.check("seed", o.seed >= 0, "at least 0");
  f("data_seed", o.data_seed, "of the order of rows; null: seed");
  f.check("data_seed", !o.data_seed || *o.data_seed >= 0, "at least 0");
  f("dataloader_num_workers", o.dataloader_num_workers, "threads that load rows; 0: two");
  f.check("dataloader_num_workers", o.dataloader_num_workers >= 0, "at least 0");
}

}  // namespace

void TrainingArgumentsOptions::describe(config::Fields& f) {
  f.required("output_dir", output_dir, "where checkpoint-N folders go");
  describe_intervals(*this, f);
  describe_optimization(*this, f);
  describe_data(*this, f);
  f("load_best_model_at_end", load_best_model_at_end,
    "end with the weights of the best checkpoint");
  f("metric_for_best_model", metric_for_best_model, "what is best by; null: loss");
  f("greater_is_better", greater_is_better, "null: unless the metric is a loss");
  f("resume_from_checkpoint", resume_from_checkpoint,
    "checkpoint folder to go on from; true: the newest in output_dir");
  f("overwrite_output_dir", overwrite_output_dir, "taken, and without effect, as in Transformers");
  f("use_cpu", use_cpu, "taken: everything runs on the processor");
  f("disable_tqdm", disable_tqdm, "show no progress");
  f("run_name", run_name, "name of the run in the record");
  f("logging_dir", logging_dir, "of report_to: tensorboard; null: OUTPUT_DIR/runs");
  f("report_to", report_to,
    "wandb, tensorboard, mlflow, a list of them, all or none; beside the configuration's loggers");
}

TrainingArguments::TrainingArguments(Options options) : options_(std::move(options)) {
  const Options& o = options_;
  reporters();  // says early what is wrong
  if (o.evaluation_strategy && o.eval_strategy && *o.evaluation_strategy != *o.eval_strategy) {
    throw ConfigError("training_arguments: evaluation_strategy and eval_strategy differ",
                      "they are one option: drop evaluation_strategy");
  }
  if (!o.load_best_model_at_end) return;
  if (evaluation() != o.save_strategy) {
    throw ConfigError(
        fmt::format("training_arguments: load_best_model_at_end with evaluation by {} and saving "
                    "by {}: the best model would not be saved",
                    config::show(evaluation()), config::show(o.save_strategy)),
        "make save_strategy and evaluation_strategy the same");
  }
  if (evaluation() == IntervalStrategy::kNo) {
    throw ConfigError("training_arguments: load_best_model_at_end without evaluation",
                      "write evaluation_strategy: epoch and save_strategy: epoch");
  }
  if (evaluation() == IntervalStrategy::kSteps && o.save_steps % eval_steps() != 0) {
    throw ConfigError(
        fmt::format("training_arguments.save_steps: {} is no multiple of eval_steps, {}",
                    o.save_steps, eval_steps()),
        "load_best_model_at_end needs a save to follow an evaluation: write save_steps as a "
        "multiple of eval_steps");
  }
}

IntervalStrategy TrainingArguments::evaluation() const {
  if (options_.eval_strategy) return *options_.eval_strategy;
  return options_.evaluation_strategy.value_or(IntervalStrategy::kNo);
}

std::string TrainingArguments::best_metric() const {
  const std::string name = options_.metric_for_best_model.value_or("loss");
  return name.starts_with("eval_") ? name : "eval_" + name;
}

bool TrainingArguments::greater_is_better() const {
  if (options_.greater_is_better) return *options_.greater_is_better;
  return best_metric() != "eval_loss";
}

std::vector<std::string> TrainingArguments::reporters() const {
  static const std::vector<std::string> kAll = {"wandb", "tensorboard", "mlflow"};
  const config::Node& given = options_.report_to;
  if (given.is_null() || given == config::Node("none")) return {};
  if (given == config::Node("all")) return kAll;
  std::vector<std::string> names;
  const config::Node list = given.is_list() ? given : config::Node::list({given});
  if (!config::read(list, names)) {
    throw ConfigError("training_arguments.report_to: neither a name nor a list of names",
                      "write report_to: wandb, or a list of names");
  }
  for (const std::string& name : names) {
    if (std::find(kAll.begin(), kAll.end(), name) != kAll.end()) continue;
    throw ConfigError(
        fmt::format("training_arguments.report_to: {}: nothing here reports to it", name),
        fmt::format("write one or more of {}, or none; every run is in the local "
                    "record, too: `polyphony runs`",
                    fmt::join(kAll, ", ")));
  }
  return names;
}

std::int64_t TrainingArguments::total_steps(std::int64_t batches) const {
  if (options_.max_steps > 0) return options_.max_steps;
  const std::int64_t group = options_.gradient_accumulation_steps;
  const std::int64_t of_epoch = (batches + group - 1) / group;
  return static_cast<std::int64_t>(
      std::ceil(options_.num_train_epochs * static_cast<double>(of_epoch)));
}

TrainerOptions TrainingArguments::limits() const {
  TrainerOptions limits;
  limits.max_epochs = -1;
  if (options_.max_steps > 0) {
    limits.max_steps = options_.max_steps;
  } else {
    limits.max_epochs = static_cast<int>(std::ceil(options_.num_train_epochs));
  }
  return limits;
}

TrainerOptions TrainingArguments::trainer_options(std::int64_t batches) const {
  const Options& o = options_;
  const std::int64_t group = o.gradient_accumulation_steps;
  const std::int64_t steps = total_steps(batches);
  const std::int64_t of_epoch = (batches + group - 1) / group;
  TrainerOptions trainer;
  trainer.max_epochs = static_cast<int>((steps + of_epoch - 1) / of_epoch);
  trainer.max_steps = steps;
  // Less than an epoch is evaluated as one.
  if (steps < of_epoch) trainer.limit_train_batches = Limit::batches(steps * group);
  trainer.num_sanity_val_steps = 0;
  trainer.accumulate_grad_batches = static_cast<int>(group);
  if (o.max_grad_norm > 0) trainer.gradient_clip_val = o.max_grad_norm;
  trainer.log_every_n_steps =
      o.logging_strategy == IntervalStrategy::kSteps ? static_cast<int>(o.logging_steps) : 0;
  if (evaluation() == IntervalStrategy::kSteps) {
    trainer.check_val_every_n_epoch = std::nullopt;
    trainer.val_check_interval = Limit::batches(eval_steps() * group);
  }
  trainer.precision = o.bf16 || o.fp16 ? Precision::kBf16 : Precision::k32;
  trainer.enable_progress_bar = !o.disable_tqdm;
  trainer.enable_model_summary = false;
  trainer.enable_checkpointing = false;  // the checkpoint-N folders are it
  return trainer;
}

std::unique_ptr<optim::Optimizer> TrainingArguments::make_optimizer(
    std::vector<optim::ParamGroup> groups) const {
  std::unique_ptr<optim::Optimizer> optimizer;
  const auto set = [&](auto options) {
    options.lr = options_.learning_rate;
    options.betas = {options_.adam_beta1, options_.adam_beta2};
    options.eps = options_.adam_epsilon;
    options.weight_decay = options_.weight_decay;
    return options;
  };
  switch (options_.optim) {
    case OptimizerName::kAdamWHF:
      optimizer = std::make_unique<optim::AdamWHF>(set(optim::AdamWHFOptions{}));
      break;
    case OptimizerName::kAdamWTorch:
      optimizer = std::make_unique<optim::AdamW>(set(optim::AdamWOptions{}));
      break;
  }
  optimizer->attach(std::move(groups));
  return optimizer;
}

std::unique_ptr<optim::Schedule> TrainingArguments::make_schedule(std::int64_t steps) const {
  optim::LinearWarmupOptions schedule;
  schedule.decay = options_.lr_scheduler_type == SchedulerType::kLinear;
  if (options_.lr_scheduler_type != SchedulerType::kConstant) {
    schedule.warmup_steps = options_.warmup_steps > 0
                                ? options_.warmup_steps
                                : static_cast<std::int64_t>(std::ceil(static_cast<double>(steps) *
                                                                      options_.warmup_ratio));
  }
  return std::make_unique<optim::LinearWarmup>(schedule);
}

POLYPHONY_REGISTER(TrainingArguments, TrainingArguments, "polyphony.TrainingArguments",
                   "how Transformers' Trainer runs: fine-tuning by `polyphony unimodal`")

}  // namespace polyphony::train
