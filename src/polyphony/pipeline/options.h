#pragma once

#include <optional>
#include <string>

#include <polyphony/config/registry.h>
#include <polyphony/data/dataset.h>
#include <polyphony/optim/optimizer.h>
#include <polyphony/optim/schedule.h>
#include <polyphony/pipeline/embed.h>
#include <polyphony/pipeline/recording.h>
#include <polyphony/pipeline/resume_guard.h>
#include <polyphony/tensor/seed.h>
#include <polyphony/train/callback.h>
#include <polyphony/train/task.h>
#include <polyphony/train/trainer.h>

namespace polyphony::pipeline {

/// What a trainer's option means to LibTorch.
tensor::Determinism determinism(const train::Deterministic& option);

enum class Mode { kTrain, kTest, kPredict };

/// Which value of the split column each stage uses.
struct SplitOptions {
  std::string train = "train";
  std::string val = "val";
  std::string test = "test";
  std::string predict = "test";

  void describe(config::Fields& f);
};

struct LoadingOptions {
  int batch_size = 32;
  int eval_batch_size = 64;
  int workers = 2;
  int prefetch = 4;
  int length_buckets = 0;

  void describe(config::Fields& f);
};

/// What an experiment's configuration says. Other keys at the root are variables for interpolation.
struct ExperimentOptions {
  Mode mode = Mode::kTrain;
  std::string run_name;
  std::int64_t seed = 2024;
  int num_threads = 0;
  config::Child<data::Dataset> dataset;
  config::Child<train::Task> task;
  config::Child<optim::Optimizer> optimizer;
  config::Child<optim::Schedule> schedule;
  config::Named<config::Child<train::Callback>> callbacks;
  Loggers logger;
  RecordingOptions recording;
  train::TrainerOptions trainer;
  LoadingOptions loading;
  SplitOptions split;
  EmbeddingsOptions embeddings;
  std::optional<std::string> ckpt_path;
  ResumeOptions resume;
  bool test_after_train = true;

  void describe(config::Fields& f);
};

}  // namespace polyphony::pipeline

template <>
struct polyphony::config::EnumNames<polyphony::pipeline::Mode> {
  static constexpr std::pair<const char*, polyphony::pipeline::Mode> kTable[] = {
      {"train", polyphony::pipeline::Mode::kTrain},
      {"test", polyphony::pipeline::Mode::kTest},
      {"predict", polyphony::pipeline::Mode::kPredict}};
};
