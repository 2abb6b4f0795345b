#include <polyphony/pipeline/entry.h>

#include <cstdio>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/config/registry.h>
#include <polyphony/pipeline/experiment.h>
#include <polyphony/pipeline/vote.h>

namespace polyphony::pipeline {
namespace {

void print_class(const config::RegisteredClass& entry) {
  fmt::print("{}  ({})\n  {}\n", entry.name, entry.kind, entry.doc);
  config::Fields fields;
  entry.describe(fields);
  for (const config::FieldDoc& field : fields.docs()) {
    fmt::print("    {:<24} {:<28} {:<16} {}\n", field.name, field.type,
               field.required ? "required" : field.default_text, field.doc);
  }
}

/// Every class, or those of one kind or name.
void list(const std::string& name) {
  bool found = false;
  std::string kinds;
  for (const config::RegisteredClass& entry : config::registered_classes()) {
    if (kinds.find(entry.kind) == std::string::npos)
      kinds += (kinds.empty() ? "" : ", ") + entry.kind;
    const bool by_class = entry.name == name || entry.name.ends_with("." + name);
    if (!name.empty() && entry.kind != name && !by_class) continue;
    print_class(entry);
    found = true;
  }
  if (!found) {
    throw UsageError("list: nothing is named '" + name + "'",
                     "name a class or one of the kinds: " + kinds);
  }
}

}  // namespace
}  // namespace polyphony::pipeline

extern "C" int polyphony_pipeline_entry(const polyphony::pipeline::Request& request) {
  using namespace polyphony::pipeline;
  // A run that is watched through a pipe shows its lines as they come.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (request.verb == "list") {
    list(request.name);
  } else if (request.verb == "vote") {
    vote(request);
  } else {
    run_experiment(request);
  }
  return 0;
}
