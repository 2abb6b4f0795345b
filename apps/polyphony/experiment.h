#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/job/app.h>
#include <polyphony/pipeline/entry.h>

namespace polyphony::app {

/// A verb that composes a configuration and does what it says, with LibTorch.
struct ExperimentVerb {
  std::string_view name;
  std::string_view doc;
  std::string_view config_name;
};

std::span<const ExperimentVerb> experiment_verbs();
/// Null pointer where the word is no such verb.
const ExperimentVerb* find_experiment_verb(std::string_view name);

/// The verb as a Hydra program. @param command_line  as typed, for the record
/// @param continuation  of an earlier run in its own directory
job::App experiment_app(const ExperimentVerb& verb, const std::string& command_line,
                        const pipeline::Continuation& continuation = {});
/// False in all processes but the first of those that torchrun, mpirun or srun started: they learn
/// the run's directory from it.
bool keeps_record();

/// Opens the tensor part, which loads LibTorch, and hands the request over. @return the exit code
int call_tensor_part(const pipeline::Request& request);

/// `polyphony list`. @return the exit code
int list_classes(const std::string& name);
/// Prints what tensors are computed with: LibTorch, its folder, oneDNN, BLAS, threads, devices.
void print_libtorch();

}  // namespace polyphony::app
