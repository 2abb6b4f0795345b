#include <polyphony/train/trainer_options.h>

namespace polyphony::train {
namespace {

void describe_limits(TrainerOptions& o, config::Fields& f) {
  f("max_epochs", o.max_epochs,
    "epochs to train; -1: no limit; null: 1000 unless max_steps is set");
  f.check("max_epochs", !o.max_epochs || *o.max_epochs >= -1, "at least -1");
  f("max_steps", o.max_steps, "optimizer steps to train; -1: no limit");
  f.check("max_steps", o.max_steps >= -1, "at least -1");
  f("max_time", o.max_time, "time to train");
  f("min_epochs", o.min_epochs, "epochs before a callback may stop the fit");
  f("min_steps", o.min_steps, "optimizer steps before a callback may stop the fit");
  f("limit_train_batches", o.limit_train_batches, "training batches an epoch: number or share");
  f("limit_val_batches", o.limit_val_batches, "validation batches: number or share");
  f("limit_test_batches", o.limit_test_batches, "test batches: number or share");
  f("limit_predict_batches", o.limit_predict_batches, "prediction batches: number or share");
  f("overfit_batches", o.overfit_batches, "train and evaluate on so many batches, unshuffled");
  f("fast_dev_run", o.fast_dev_run, "try one batch (or N) of everything; nothing is saved");
}

void describe_loop(TrainerOptions& o, config::Fields& f) {
  f("num_sanity_val_steps", o.num_sanity_val_steps,
    "validation batches to try before training; -1: all");
  f.check("num_sanity_val_steps", o.num_sanity_val_steps >= -1, "at least -1");
  f("check_val_every_n_epoch", o.check_val_every_n_epoch,
    "epochs between validations; null: val_check_interval counts batches over epochs");
  f.check("check_val_every_n_epoch", !o.check_val_every_n_epoch || *o.check_val_every_n_epoch >= 1,
          "at least 1");
  f("val_check_interval", o.val_check_interval,
    "validate after so many batches, or after each share of an epoch");
  f.check("val_check_interval", o.val_check_interval.value > 0, "above 0");
  f.check("val_check_interval", o.check_val_every_n_epoch || !o.val_check_interval.share,
          "an int where check_val_every_n_epoch is null");
  f("log_every_n_steps", o.log_every_n_steps, "optimizer steps between two step-wise log rows");
  f.check("log_every_n_steps", o.log_every_n_steps >= 0, "at least 0");
  f("accumulate_grad_batches", o.accumulate_grad_batches, "batches whose gradients make one step");
  f.check("accumulate_grad_batches", o.accumulate_grad_batches >= 1, "at least 1");
  f("gradient_clip_val", o.gradient_clip_val, "limit of the gradients; null or 0: none");
  f.check("gradient_clip_val", !o.gradient_clip_val || *o.gradient_clip_val >= 0, "at least 0");
  f("gradient_clip_algorithm", o.gradient_clip_algorithm,
    "limit the norm of all gradients together, or each value");
}

void describe_machine(TrainerOptions& o, config::Fields& f) {
  f("precision", o.precision, "of the forward pass; bf16 and 16 mix with 32");
  f("deterministic", o.deterministic,
    "refuse operations that are not reproducible to the bit, or warn of them");
  f("benchmark", o.benchmark, "let cuDNN try its kernels");
  f("detect_anomaly", o.detect_anomaly, "find the operation that made a gradient NaN; slow");
  f("accelerator", o.accelerator, "what to compute on");
  f("devices", o.devices, "how many, or which");
  f("strategy", o.strategy, "how a run is spread over processes");
  f("num_nodes", o.num_nodes, "hosts of a distributed run");
  f.check("num_nodes", o.num_nodes >= 1, "at least 1");
  f("dist_timeout", o.dist_timeout, "seconds within which a lost process ends the others");
  f.check("dist_timeout", o.dist_timeout >= 1, "at least 1");
  f("profiler", o.profiler, "simple: a table of where the time went; pytorch: a Chrome trace");
}

}  // namespace

void TrainerOptions::describe(config::Fields& f) {
  describe_limits(*this, f);
  describe_loop(*this, f);
  describe_machine(*this, f);
  f("enable_checkpointing", enable_checkpointing, "save checkpoints");
  f("enable_progress_bar", enable_progress_bar, "show progress in the terminal");
  f("enable_model_summary", enable_model_summary, "print the model's layers before the fit");
  f("default_root_dir", default_root_dir, "where files go; null: the run's directory");
}

TrainerOptions settled(TrainerOptions o, bool has_timer) {
  if (o.fast_dev_run.count > 0) {
    const Limit limit = Limit::batches(o.fast_dev_run.count);
    o.limit_train_batches = o.limit_val_batches = limit;
    o.limit_test_batches = o.limit_predict_batches = limit;
    o.max_steps = o.fast_dev_run.count;
    o.max_epochs = 1;
    o.num_sanity_val_steps = 0;
    o.val_check_interval = Limit::fraction(1.0);
    o.check_val_every_n_epoch = 1;
    o.enable_checkpointing = false;
  }
  if (!o.overfit_batches.is_zero()) {
    o.limit_train_batches = o.limit_val_batches = o.overfit_batches;
    o.limit_test_batches = o.limit_predict_batches = o.overfit_batches;
  }
  if (!o.max_epochs) {
    constexpr int kDefault = 1000;
    const bool limited = o.max_steps != -1 || o.max_time || has_timer;
    o.max_epochs = limited ? -1 : kDefault;
  }
  if (!o.min_epochs) o.min_epochs = o.min_steps ? 1 : 0;
  return o;
}

}  // namespace polyphony::train
