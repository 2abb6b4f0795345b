#include "experiment.h"

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/world.h>
#include <polyphony/job/log.h>
#include <polyphony/pipeline/entry.h>
#include "parts.h"

namespace polyphony::app {
namespace {

using pipeline::Request;

constexpr std::array<ExperimentVerb, 8> kVerbs{{
    {"run", "do what `mode` of the configuration says", "experiment"},
    {"train", "train, then test the best checkpoint", "experiment"},
    {"test", "metrics of a checkpoint on the test rows", "experiment"},
    {"predict", "logits (.npy) and labels (.csv) of a checkpoint", "experiment"},
    {"embed", "hidden states of frozen encoders, computed once and kept", "multimodal"},
    {"unimodal", "fine-tune a pretrained encoder, as the original does", "unimodal"},
    {"multimodal", "train, test or predict on embeddings, as the original does", "multimodal"},
    {"vote", "soft voting of saved logits", "voting"},
}};

/// $NAME is filled in by job::run_app.
constexpr const char* kHelp = R"(polyphony {0}: {1}.

usage: polyphony {0} [FLAG...] [GROUP=OPTION | KEY=VALUE | +KEY=VALUE | ~KEY]...

== Flags ==
$FLAGS_HELP

== Configuration groups ==
Compose your configuration from those groups (group=option)

$APP_CONFIG_GROUPS

== Config ==
Override anything in the config (foo.bar=value)

$CONFIG
polyphony compose shows the configuration; polyphony list shows every class that it can name.
)";

void run(const std::string& verb, const std::string& command_line,
         const pipeline::Continuation& continuation, const job::Job& job) {
  Request request;
  request.verb = verb;
  request.command_line = command_line;
  request.config = job.composition;
  request.output_dir = job.output_dir;
  request.continuation = continuation;
  job.log.info("polyphony", command_line);
  try {
    call_tensor_part(request);
  } catch (const std::exception& error) {
    job.log.write(job::Level::kError, "polyphony.file", error.what());
    throw;
  }
  job.log.info("polyphony", fmt::format("{}: done, in {}", verb, job.output_dir.string()));
}

}  // namespace

bool keeps_record() {
  const auto world = world_from_environment(process_environment());
  return !world || world->rank == 0;
}

int call_tensor_part(const pipeline::Request& request) {
  return open_part<pipeline::Entry>("libpolyphony_tensor.so", pipeline::kEntrySymbol)(request);
}

std::span<const ExperimentVerb> experiment_verbs() { return kVerbs; }

const ExperimentVerb* find_experiment_verb(std::string_view name) {
  for (const ExperimentVerb& verb : kVerbs) {
    if (verb.name == name) return &verb;
  }
  return nullptr;
}

job::App experiment_app(const ExperimentVerb& verb, const std::string& command_line,
                        const pipeline::Continuation& continuation) {
  job::App app;
  app.name = verb.name;
  app.program = fmt::format("polyphony {}", verb.name);
  app.version = POLYPHONY_VERSION;
  app.config_dir = "configs";
  app.config_name = verb.config_name;
  app.overrides = job::Overrides::kAnywhere;
  app.isolation = job::Isolation::kProcess;
  const auto directory =
      continuation.wanted ? job::OutputDirectory::kReuse : job::OutputDirectory::kFresh;
  app.output = keeps_record() ? directory : job::OutputDirectory::kNone;
  app.help_template = fmt::format(kHelp, verb.name, verb.doc);
  app.task = [name = std::string(verb.name), command_line, continuation](const job::Job& job) {
    run(name, command_line, continuation, job);
  };
  return app;
}

int list_classes(const std::string& name) {
  Request request;
  request.verb = "list";
  request.name = name;
  return call_tensor_part(request);
}

void print_libtorch() {
  Request request;
  request.verb = "version";
  std::fflush(stdout);
  call_tensor_part(request);
}

}  // namespace polyphony::app
