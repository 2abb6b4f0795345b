#include <polyphony/pipeline/entry.h>

#include <cstdio>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/bind/catalogue.h>
#include <polyphony/config/bind/schema.h>
#include <polyphony/config/bind/target.h>
#include <polyphony/pipeline/embed.h>
#include <polyphony/pipeline/experiment.h>
#include <polyphony/pipeline/multimodal.h>
#include <polyphony/pipeline/options.h>
#include <polyphony/pipeline/unimodal.h>
#include <polyphony/pipeline/vote.h>
#include <polyphony/tensor/libtorch.h>

namespace polyphony::pipeline {
namespace {

/// JSON Schema of a class; of a verb's whole configuration for "" (an experiment) and "vote".
void print_schema(const std::string& name) {
  if (name.empty() || name == "experiment") {
    inform("{}", config::root_schema("an experiment", docs_of<ExperimentOptions>()));
    return;
  }
  const config::Target target = config::find_target(name);
  if (target.entry == nullptr) throw UsageError("schema: " + target.fact, target.remedy);
  inform("{}", config::class_schema(*target.entry));
}

void print_version() {
  for (const auto& [name, value] : tensor::libtorch_facts()) inform("{:<9} {}", name, value);
}

int print_targets(const config::Node& config) {
  const config::TargetReport report = config::report_targets(config);
  notify(Notice::kInfo, report.text);
  return report.unresolved == 0 ? 0 : static_cast<int>(ExitCode::kConfig);
}

}  // namespace
}  // namespace polyphony::pipeline

extern "C" int polyphony_pipeline_entry(const polyphony::pipeline::Request& request) {
  using namespace polyphony::pipeline;
  // A run that is watched through a pipe shows its lines as they come.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (request.verb == "list") {
    polyphony::notify(polyphony::Notice::kInfo, polyphony::config::catalogue(request.name));
  } else if (request.verb == "schema") {
    print_schema(request.name);
  } else if (request.verb == "version") {
    print_version();
  } else if (request.verb == "targets") {
    return print_targets(request.config.config);
  } else if (request.verb == "vote") {
    vote(request);
  } else if (request.verb == "embed") {
    run_embed(request);
  } else if (request.verb == "unimodal") {
    run_unimodal(request);
  } else if (request.verb == "multimodal") {
    run_multimodal(request);
  } else {
    run_experiment(request);
  }
  return 0;
}
