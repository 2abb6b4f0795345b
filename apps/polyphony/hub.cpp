#include "hub.h"

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/terminal/table.h>
#include <polyphony/hub/cache.h>
#include <polyphony/hub/settings.h>
#include <polyphony/hub/snapshot.h>

namespace polyphony::app {
namespace {

struct FetchArguments {
  std::string name;
  std::string revision = "main";
  std::vector<std::string> patterns;
};

void fetch(const FetchArguments& arguments) {
  hub::SnapshotOptions options;
  options.revision = arguments.revision;
  if (!arguments.patterns.empty()) options.wanted = {arguments.patterns, {}};
  fmt::print("{}\n", hub::snapshot(arguments.name, options).string());
}

void list() {
  const hub::Settings settings = hub::read_settings(process_environment());
  Table table({"model", "revision", "files", "MB", "folder"});
  for (const hub::CachedModel& model : hub::cached_models(settings.cache)) {
    for (const hub::CachedRevision& revision : model.revisions) {
      const std::string refs = fmt::format("{}", fmt::join(revision.refs, ", "));
      table.add_row({model.name, refs.empty() ? revision.commit : refs,
                     std::to_string(revision.files),
                     fmt::format("{:.1f}", static_cast<double>(model.bytes) / 1048576.0),
                     revision.folder.string()});
    }
  }
  if (table.rows() == 0) {
    fmt::print("no model in {}; `polyphony hub fetch NAME` brings one\n", settings.cache.string());
  } else {
    fmt::print("{}", table.to_text());
  }
}

}  // namespace

void add_hub_commands(CLI::App& app) {
  CLI::App* hub = app.add_subcommand("hub", "models of Hugging Face's hub and its cache");
  hub->require_subcommand(1);

  CLI::App* fetcher =
      hub->add_subcommand("fetch", "bring a model into the cache; prints its folder");
  auto what = std::make_shared<FetchArguments>();
  fetcher->add_option("name", what->name, "e.g. facebook/hubert-large-ls960-ft")->required();
  fetcher->add_option("--revision", what->revision, "branch, tag or commit; main");
  fetcher->add_option("--include", what->patterns,
                      "files to bring, as patterns; those of a model where absent");
  fetcher->callback([what] { fetch(*what); });

  hub->add_subcommand("list", "the models in the cache")->callback([] { list(); });
}

}  // namespace polyphony::app
