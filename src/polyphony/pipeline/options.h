#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/bind/registry.h>
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

/// What every verb that trains reads of a configuration.
struct RunOptions {
  std::string run_name;
  std::int64_t seed = 2024;
  int num_threads = 0;
  config::Named<config::Child<train::Callback>> callbacks;
  Loggers logger;
  RecordingOptions recording;
  train::TrainerOptions trainer;
  EmbeddingsOptions embeddings;
  ResumeOptions resume;

  /// All but run_name and seed, of which the verbs say their own.
  void describe(config::Fields& f);

  // What follows from them, and is no option.
  std::vector<config::FieldDoc> docs;  ///< of all options that the verb reads
  /// The checkpoint that an earlier run goes on from in its own directory (resume_point.h).
  std::optional<std::filesystem::path> resumed;
};

/// Options without a configuration, for what is said of them.
template <class Options>
std::vector<config::FieldDoc> docs_of() {
  config::Fields fields;
  Options{}.describe(fields);
  return fields.docs();
}

/// A verb's options. Keys at the root that it does not read are variables for interpolation.
/// @throws ConfigError
template <class Options>
Options read_options(const config::Node& config, const std::string& verb) {
  Options options;
  config::Fields fields(config, "polyphony " + verb, "");
  options.describe(fields);
  options.docs = docs_of<Options>();
  return options;
}

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

/// What an experiment's configuration says.
struct ExperimentOptions : RunOptions {
  train::Stage mode = train::Stage::kTrain;
  config::Child<data::Dataset> dataset;
  config::Child<train::Task> task;
  config::Child<optim::Optimizer> optimizer;
  config::Child<optim::Schedule> schedule;
  LoadingOptions loading;
  SplitOptions split;
  std::optional<std::string> ckpt_path;
  bool test_after_train = true;

  void describe(config::Fields& f);
};

}  // namespace polyphony::pipeline

/// The stages that a configuration can name as its mode.
template <>
struct polyphony::config::EnumNames<polyphony::train::Stage> {
  static constexpr std::pair<const char*, polyphony::train::Stage> kTable[] = {
      {"train", polyphony::train::Stage::kTrain},
      {"test", polyphony::train::Stage::kTest},
      {"predict", polyphony::train::Stage::kPredict}};
};
