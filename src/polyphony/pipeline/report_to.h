#pragma once

#include <filesystem>

#include <polyphony/pipeline/recording.h>
#include <polyphony/train/training_arguments.h>

namespace polyphony::pipeline {

/// The loggers that `report_to` of Transformers' arguments asks for, with Transformers' names for
/// project and experiment (WANDB_PROJECT, WANDB_DISABLED and MLFLOW_EXPERIMENT_NAME count).
/// @param directory  of the run; W&B's files go there
Loggers reporters(const train::TrainingArguments& arguments,
                  const std::filesystem::path& directory);

/// The configuration's loggers and those of `more` that it has none of that name of.
Loggers with_reporters(Loggers loggers, Loggers more);

}  // namespace polyphony::pipeline
