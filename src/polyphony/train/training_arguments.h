#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/optim/optimizer.h>
#include <polyphony/optim/schedule.h>
#include <polyphony/train/trainer_options.h>

namespace polyphony::train {

/// When a thing is done in Transformers' Trainer.
enum class IntervalStrategy { kNo, kSteps, kEpoch };
/// The optimizers of Transformers that are built here.
enum class OptimizerName { kAdamWHF, kAdamWTorch };
enum class SchedulerType { kLinear, kConstant, kConstantWithWarmup };

/// Transformers' options (4.27), with its names, defaults and meaning.
struct TrainingArgumentsOptions {
  std::string output_dir;
  std::optional<IntervalStrategy> evaluation_strategy;  ///< eval_strategy since 4.41
  std::optional<IntervalStrategy> eval_strategy;
  std::optional<std::int64_t> eval_steps;
  IntervalStrategy save_strategy = IntervalStrategy::kSteps;
  std::int64_t save_steps = 500;
  std::optional<std::int64_t> save_total_limit;
  IntervalStrategy logging_strategy = IntervalStrategy::kSteps;
  std::int64_t logging_steps = 500;
  double learning_rate = 5e-5;
  double weight_decay = 0;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double max_grad_norm = 1.0;
  OptimizerName optim = OptimizerName::kAdamWHF;
  SchedulerType lr_scheduler_type = SchedulerType::kLinear;
  double warmup_ratio = 0;
  std::int64_t warmup_steps = 0;
  double num_train_epochs = 3;
  std::int64_t max_steps = -1;
  std::int64_t per_device_train_batch_size = 8;
  std::int64_t per_device_eval_batch_size = 8;
  std::int64_t gradient_accumulation_steps = 1;
  std::int64_t seed = 42;
  std::optional<std::int64_t> data_seed;
  std::int64_t dataloader_num_workers = 0;
  bool load_best_model_at_end = false;
  std::optional<std::string> metric_for_best_model;
  std::optional<bool> greater_is_better;
  config::Node resume_from_checkpoint;  ///< a folder, or true
  double label_smoothing_factor = 0;
  bool gradient_checkpointing = false;
  bool overwrite_output_dir = false;
  bool bf16 = false;
  bool fp16 = false;     ///< bf16 here: half precision is a GPU's
  bool use_cpu = false;  ///< always
  bool disable_tqdm = false;
  std::optional<std::string> run_name;
  std::optional<std::string> logging_dir;  ///< of TensorBoard
  config::Node report_to;  ///< wandb, tensorboard, mlflow, a list of them, all or none

  void describe(config::Fields& f);
};

/// transformers.TrainingArguments: how Transformers' Trainer runs.
class TrainingArguments {
 public:
  static constexpr const char* kKind = "TrainingArguments";
  using Options = TrainingArgumentsOptions;
  /// @throws ConfigError for what Transformers refuses too: a best model with different strategies
  /// of evaluation and saving, or steps that do not meet
  explicit TrainingArguments(Options options);

  const Options& options() const { return options_; }
  IntervalStrategy evaluation() const;
  std::int64_t eval_steps() const { return options_.eval_steps.value_or(options_.logging_steps); }
  /// The metric that the best model has the best value of, e.g. "eval_accuracy".
  std::string best_metric() const;
  bool greater_is_better() const;
  /// What report_to names of wandb, tensorboard and mlflow; nothing if it is not given.
  std::vector<std::string> reporters() const;

  /// Optimizer steps of the whole training. @param batches  of an epoch, at least 1
  std::int64_t total_steps(std::int64_t batches) const;
  /// The loops that do the same here. @param batches  of an epoch
  TrainerOptions trainer_options(std::int64_t batches) const;
  /// @param groups  see Optimizer::attach
  std::unique_ptr<optim::Optimizer> make_optimizer(std::vector<optim::ParamGroup> groups) const;
  /// Only how many epochs and steps there are at most, as far as the data do not say.
  TrainerOptions limits() const;
  /// @param steps  total_steps
  std::unique_ptr<optim::Schedule> make_schedule(std::int64_t steps) const;

 private:
  Options options_;
};

}  // namespace polyphony::train

template <>
struct polyphony::config::EnumNames<polyphony::train::IntervalStrategy> {
  static constexpr std::pair<const char*, polyphony::train::IntervalStrategy> kTable[] = {
      {"no", polyphony::train::IntervalStrategy::kNo},
      {"steps", polyphony::train::IntervalStrategy::kSteps},
      {"epoch", polyphony::train::IntervalStrategy::kEpoch}};
};
template <>
struct polyphony::config::EnumNames<polyphony::train::OptimizerName> {
  static constexpr std::pair<const char*, polyphony::train::OptimizerName> kTable[] = {
      {"adamw_hf", polyphony::train::OptimizerName::kAdamWHF},
      {"adamw_torch", polyphony::train::OptimizerName::kAdamWTorch}};
};
template <>
struct polyphony::config::EnumNames<polyphony::train::SchedulerType> {
  static constexpr std::pair<const char*, polyphony::train::SchedulerType> kTable[] = {
      {"linear", polyphony::train::SchedulerType::kLinear},
      {"constant", polyphony::train::SchedulerType::kConstant},
      {"constant_with_warmup", polyphony::train::SchedulerType::kConstantWithWarmup}};
};
