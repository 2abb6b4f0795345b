#pragma once

#include <cstdint>

#include <polyphony/train/callback.h>
#include <polyphony/train/task.h>

namespace polyphony::train {

/// A hook's name in profiles and checkpoints.
struct HookName {
  const char* name;
  bool logs_steps = false;  ///< what it logs is each step's value unless LogOptions say otherwise
};

/// What the loops call: a method of every callback, then one of the task; either may be null.
template <class... P>
struct Hook : HookName {
  using OfCallbacks = void (Callback::*)(Trainer&, P...);
  using OfTask = void (Task::*)(P...);

  constexpr Hook(const char* hook, OfCallbacks of_callbacks, OfTask of_task = nullptr)
      : HookName{hook}, callbacks(of_callbacks), task(of_task) {}

  OfCallbacks callbacks;
  OfTask task;
};
using BatchHook = Hook<const data::Batch&, std::int64_t>;

#define POLYPHONY_HOOK(hook) #hook, &Callback::hook

/// The hooks of a fit, in the order of their first call.
struct FitHooks {
  Hook<> setup{POLYPHONY_HOOK(setup)};
  Hook<> on_fit_start{POLYPHONY_HOOK(on_fit_start), &Task::on_fit_start};
  Hook<> on_sanity_check_start{POLYPHONY_HOOK(on_sanity_check_start)};
  Hook<> on_sanity_check_end{POLYPHONY_HOOK(on_sanity_check_end)};
  Hook<> on_train_start{POLYPHONY_HOOK(on_train_start), &Task::on_train_start};
  Hook<> on_train_epoch_start{POLYPHONY_HOOK(on_train_epoch_start), &Task::on_train_epoch_start};
  BatchHook on_train_batch_start{POLYPHONY_HOOK(on_train_batch_start)};
  HookName training_step{"training_step", /*logs_steps=*/true};
  Hook<optim::Optimizer&> on_before_zero_grad{POLYPHONY_HOOK(on_before_zero_grad)};
  Hook<const at::Tensor&> on_before_backward{POLYPHONY_HOOK(on_before_backward)};
  Hook<> on_after_backward{POLYPHONY_HOOK(on_after_backward)};
  Hook<optim::Optimizer&> on_before_optimizer_step{POLYPHONY_HOOK(on_before_optimizer_step),
                                                   &Task::on_before_optimizer_step};
  Hook<double, std::int64_t> on_train_batch_end{POLYPHONY_HOOK(on_train_batch_end)};
  Hook<> training_epoch_end{"training_epoch_end", nullptr, &Task::training_epoch_end};
  Hook<> on_train_epoch_end{POLYPHONY_HOOK(on_train_epoch_end), &Task::on_train_epoch_end};
  Hook<> on_train_end{POLYPHONY_HOOK(on_train_end), &Task::on_train_end};
  Hook<> on_fit_end{POLYPHONY_HOOK(on_fit_end), &Task::on_fit_end};
  Hook<> teardown{POLYPHONY_HOOK(teardown)};
};
inline constexpr FitHooks kHooks{};

/// Those of a pass over rows that nothing is learnt from.
struct EvaluationHooks {
  Hook<> start;
  Hook<> epoch_start;
  BatchHook batch_start;
  BatchHook step;
  BatchHook batch_end;
  Hook<> task_epoch_end;
  Hook<> epoch_end;
  Hook<> end;
};
inline constexpr EvaluationHooks kValidationHooks = {
    {POLYPHONY_HOOK(on_validation_start)},
    {POLYPHONY_HOOK(on_validation_epoch_start), &Task::on_validation_epoch_start},
    {POLYPHONY_HOOK(on_validation_batch_start)},
    {"validation_step", nullptr, &Task::validation_step},
    {POLYPHONY_HOOK(on_validation_batch_end)},
    {"validation_epoch_end", nullptr, &Task::validation_epoch_end},
    {POLYPHONY_HOOK(on_validation_epoch_end)},
    {POLYPHONY_HOOK(on_validation_end)},
};
inline constexpr EvaluationHooks kTestHooks = {
    {POLYPHONY_HOOK(on_test_start)},
    {POLYPHONY_HOOK(on_test_epoch_start), &Task::on_test_epoch_start},
    {POLYPHONY_HOOK(on_test_batch_start)},
    {"test_step", nullptr, &Task::test_step},
    {POLYPHONY_HOOK(on_test_batch_end)},
    {"test_epoch_end", nullptr, &Task::test_epoch_end},
    {POLYPHONY_HOOK(on_test_epoch_end)},
    {POLYPHONY_HOOK(on_test_end)},
};
inline constexpr EvaluationHooks kPredictHooks = {
    {POLYPHONY_HOOK(on_predict_start)},       {POLYPHONY_HOOK(on_predict_epoch_start)},
    {POLYPHONY_HOOK(on_predict_batch_start)}, {"predict_step", nullptr},
    {POLYPHONY_HOOK(on_predict_batch_end)},   {"", nullptr},
    {POLYPHONY_HOOK(on_predict_epoch_end)},   {POLYPHONY_HOOK(on_predict_end)},
};

#undef POLYPHONY_HOOK

}  // namespace polyphony::train
