#include <polyphony/job/earlier_run.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/compose/override.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/job/run.h>
#include <polyphony/job/settings.h>

namespace polyphony::job {
namespace {

namespace fs = std::filesystem;
using config::Composition;
using config::Node;

/// What a run's directory has fixed.
void refuse_fixed(const config::Override& change, const Node& config) {
  if (change.key == "hydra" || change.key.starts_with("hydra.") ||
      change.key.starts_with("hydra/")) {
    throw UsageError(fmt::format("{}: a run that is resumed stays in its directory", change.text),
                     "to go on elsewhere, give the first command again with ckpt_path=CHECKPOINT");
  }
  const Node* now = config.select(change.key);
  const bool group = change.key.find('/') != std::string::npos || change.package.has_value();
  if (group || (now != nullptr && now->is_map() && change.has_value && change.value.is_string())) {
    throw UsageError(
        fmt::format("{}: a run that is resumed keeps the groups that were chosen", change.text),
        "change their options, e.g. optimizer.lr=1e-4; for another group give the "
        "first command again with ckpt_path=CHECKPOINT");
  }
}

}  // namespace

Composition read_composition(const fs::path& folder) {
  Composition composition;
  composition.config = config::load_yaml(folder / "config.yaml");
  const Node root = config::load_yaml(folder / "hydra.yaml");
  const Node* hydra = root.find("hydra");
  if (hydra == nullptr) {
    throw ConfigError((folder / "hydra.yaml").string() + ": no key `hydra`",
                      "give the .hydra directory that a run wrote");
  }
  composition.hydra = *hydra;
  const Node* task = hydra->select("overrides.task");
  if (task != nullptr) composition.task_overrides = texts_of(*task);
  return composition;
}

void save_composition(const Composition& composition, const fs::path& folder) {
  Node hydra = Node::map();
  hydra.set("hydra", composition.hydra);
  write_file(folder / "config.yaml", config::to_yaml(composition.config));
  write_file(folder / "hydra.yaml", config::to_yaml(hydra));
  write_file(folder / "overrides.yaml", config::to_yaml(list_of(composition.task_overrides)));
}

Composition compose_earlier(const fs::path& run, const std::vector<std::string>& overrides) {
  const fs::path folder = run / ".hydra";
  Composition composition = read_composition(folder);
  if (!overrides.empty()) {
    for (const config::Override& change : config::parse_overrides(overrides)) {
      refuse_fixed(change, composition.config);
    }
    config::ComposeRequest request;
    request.config_dir = folder;
    request.config_name = "config";
    request.overrides = overrides;
    composition.config = config::compose(request).config;
    composition.task_overrides.insert(composition.task_overrides.end(), overrides.begin(),
                                      overrides.end());
    if (Node* known = composition.hydra.find("overrides")) {
      known->set("task", list_of(composition.task_overrides));
    }
  }
  if (Node* runtime = composition.hydra.find("runtime")) {
    runtime->set("output_dir", fs::absolute(run).lexically_normal().string());
  }
  return composition;
}

int run_in_place(const App& app, Composition composition) {
  return run_job(JobRun(app, std::move(composition), JobRun::Place::kResume));
}

}  // namespace polyphony::job
