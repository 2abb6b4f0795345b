#include <polyphony/pipeline/experiment_run.h>

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include <polyphony/base/assignment.h>
#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/base/world.h>
#include <polyphony/callbacks/defaults.h>
#include <polyphony/data/embeddable.h>
#include <polyphony/pipeline/processes.h>
#include <polyphony/pipeline/resume_point.h>
#include <polyphony/pipeline/run_monitor.h>
#include <polyphony/tensor/plain.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/checkpoint.h>
#include <polyphony/train/make_strategy.h>

namespace polyphony::pipeline {
namespace fs = std::filesystem;
namespace {

/// Threads of this process: its share of those of its host.
int threads_of(const RunOptions& options) {
  const auto world = world_from_environment(process_environment());
  if (!world || world->local_size == 1) return options.num_threads;
  return threads_of_rank(options.num_threads, world->local_size);
}

void require_labels(const data::Dataset& rows, const std::string& split) {
  const std::int64_t without = rows.unlabelled();
  if (without == 0) return;
  throw DataError(
      fmt::format("{} of {} rows of split '{}' have no label", without, rows.size(), split),
      "fill the label column (dataset.label_column names it), or use `polyphony "
      "predict`, which needs none");
}

/// Of one label a row, two classes differ; of several, a class that some rows have.
void refuse_one_class(const data::Dataset& rows) {
  const std::vector<std::int64_t> counts = rows.class_counts();
  const auto tells = [&](std::int64_t count) {
    return count > 0 && (!rows.multi_label() || count < rows.size());
  };
  if (std::count_if(counts.begin(), counts.end(), tells) >= (rows.multi_label() ? 1 : 2)) return;
  throw DataError(
      rows.multi_label()
          ? "every class is that of all training rows, or of none; there is nothing to learn"
          : "the training rows have fewer than two classes; there is nothing to learn",
      "look at the labels with `polyphony data check`, and at split.train");
}

void print(const train::MetricValues& values) {
  for (const auto& [name, value] : values) inform("{:<24} {:.4f}", name, value);
}

/// This process's part of the run.
void run_rank(const Request& request, const config::Node& config, Experiment& experiment,
              std::unique_ptr<train::Strategy> strategy) {
  RunOptions& options = experiment.options();
  auto guard = std::make_unique<ResumeGuard>(request, config, options.docs, options.resume);
  const auto point =
      resume_point(request, config, experiment.limits(), *guard, strategy->collective());
  const bool dev_run = options.trainer.fast_dev_run.count > 0;
  RunLabel label{options.run_name, options.seed, options.recording,
                 dev_run ? Loggers{} : options.logger};
  if (point) {
    options.resumed = point->checkpoint;
    label.rows_before = point->rows;
  }
  Recording recording(request, config, std::move(label), strategy->collective());
  recording.during([&] {
    ExperimentRun run(experiment, recording, std::move(strategy), std::move(guard));
    experiment.run(run);
  });
}

}  // namespace

void run_recorded(const Request& request, const MakeExperiment& make) {
  config::Node config = resolved(request);
  const std::unique_ptr<Experiment> experiment = make(request, config);
  const RunOptions& options = experiment->options();
  refuse_before_launch(request, config, experiment->limits(),
                       ResumeGuard(request, config, options.docs, options.resume),
                       train::processes_to_launch(options.trainer, options.num_threads));
  in_processes(request, options.trainer, options.num_threads,
               [&](const Request& mine, std::unique_ptr<train::Strategy> strategy) {
                 if (mine.output_dir == request.output_dir) {
                   return run_rank(mine, config, *experiment, std::move(strategy));
                 }
                 config::Node here = resolved(mine);
                 const auto same = make(mine, here);
                 run_rank(mine, here, *same, std::move(strategy));
               });
}

ExperimentRun::ExperimentRun(Experiment& experiment, Recording& recording,
                             std::unique_ptr<train::Strategy> strategy,
                             std::unique_ptr<ResumeGuard> guard)
    : experiment_(experiment),
      options_(experiment.options()),
      recording_(recording),
      collective_(strategy->collective()),
      guard_(*guard) {
  for (const auto& [name, child] : options_.callbacks) {
    if (child.is_set()) parts_.callbacks.push_back(config::build(child, "callbacks." + name));
  }
  own_callbacks_.push_back(std::make_unique<RunMonitor>(recording_));
  own_callbacks_.push_back(std::move(guard));
  auto labels = std::make_unique<RowLabels>();
  labels_ = labels.get();
  own_callbacks_.push_back(std::move(labels));
  parts_.strategy = std::move(strategy);
  tensor::set_up_compute(threads_of(options_), options_.trainer.deterministic);
  inform("{}", tensor::describe_compute());
  tensor::seed_everything(static_cast<std::uint64_t>(options_.seed));
  task_ = experiment_.task();
}

train::Trainer& ExperimentRun::make_trainer(std::int64_t batches) {
  Loops loops = experiment_.loops(batches);
  const auto add = [this](std::vector<std::unique_ptr<train::Callback>> more) {
    std::move(more.begin(), more.end(), std::back_inserter(parts_.callbacks));
  };
  add(std::move(loops.callbacks));
  parts_.callbacks = callbacks::with_defaults(std::move(parts_.callbacks), loops.options);
  add(std::move(own_callbacks_));
  parts_.loggers = recording_.take_loggers();
  parts_.hyper_parameters = tensor::value_of(experiment_.hyper_parameters());
  parts_.resume_key = experiment_.resume_key();
  return trainer_.emplace(loops.options, recording_.directory(), std::move(parts_));
}

data::LoaderOptions ExperimentRun::loading(train::Stage stage) const {
  const bool train = stage == train::Stage::kTrain;
  data::LoaderOptions loading;
  loading.shuffle = train && options_.trainer.overfit_batches.is_zero();
  loading.seed = static_cast<std::uint64_t>(options_.seed);
  loading.shard = {collective_.rank(), collective_.world_size()};
  loading.even_shards = train;
  experiment_.load(loading, stage);
  return loading;
}

const data::Dataset& ExperimentRun::rows(const std::string& split) {
  std::unique_ptr<data::Dataset>& rows = rows_[split];
  if (rows) return *rows;
  rows = experiment_.rows(split);
  const auto* source = dynamic_cast<const data::Embeddable*>(rows.get());
  if (source == nullptr || source->frozen_inputs().empty()) return *rows;
  if (!embedder_) embedder_.emplace(options_.embeddings, collective_);
  rows = embedder_->embed(std::move(rows), split);
  return *rows;
}

void ExperimentRun::load_weights(const fs::path& path) {
  task_->load_state(train::load_state_dict(path), path.string());
  inform("weights: {}", path.string());
}

void ExperimentRun::fit(const std::string& train, const std::string& val, const fs::path& resume,
                        Validation validation) {
  stop_if_asked(collective_);
  const data::Dataset& train_rows = rows(train);
  const data::Dataset& val_rows = rows(val);
  require_labels(train_rows, train);
  require_labels(val_rows, val);
  refuse_one_class(train_rows);
  task_->setup(train_rows);
  guard_.observe(train_rows, val_rows, experiment_.dataset(), collective_);
  data::Loader train_loader(train_rows, loading(train::Stage::kTrain));
  data::Loader val_loader(val_rows, loading(train::Stage::kValidate));
  train::Trainer& trainer = make_trainer(train_loader.batches());
  try {
    trainer.fit(*task_, train_loader, validation == Validation::kOn ? &val_loader : nullptr,
                resume);
  } catch (const Interrupted& stop) {
    if (stop.checkpoint().empty()) throw;
    throw Interrupted::with_remedy(
        stop.signal_number(), stop.checkpoint(),
        "to go on exactly where it stopped, give the same command with " +
            assignment(experiment_.resume_key(), stop.checkpoint().string()));
  } catch (const std::exception&) {
    recording_.alert("Training Error", "An error occurred during training", "ERROR");
    throw;
  }
  recording_.alert("Training Complete", "Training process has successfully finished.", "INFO");
}

void ExperimentRun::leave_untested(const Interrupted& stop, const fs::path& kept,
                                   const std::string& how_to_keep,
                                   const std::string& how_to_go_on) const {
  if (kept.empty()) {
    throw Interrupted::unsaved(stop.signal_number(),
                               "training is complete, but no checkpoint was kept to test: " +
                                   how_to_keep + ", and train again");
  }
  throw Interrupted::with_remedy(stop.signal_number(), kept,
                                 fmt::format("training is complete; {} {}", how_to_go_on,
                                             assignment(experiment_.resume_key(), kept.string())));
}

void ExperimentRun::validate(const std::string& split) {
  data::Loader loader(rows(split), loading(train::Stage::kValidate));
  print(trainer().validate(*task_, loader));
}

void ExperimentRun::test(const std::string& split) {
  const data::Dataset& tested = rows(split);
  require_labels(tested, split);
  task_->setup(tested);
  data::Loader loader(tested, loading(train::Stage::kTest));
  print(trainer().test(*task_, loader));
}

at::Tensor ExperimentRun::predict(const std::string& split) {
  data::Loader loader(rows(split), loading(train::Stage::kPredict));
  return trainer().predict(*task_, loader).contiguous();
}

}  // namespace polyphony::pipeline
