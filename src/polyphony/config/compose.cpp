#include <polyphony/config/compose.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/config/errors.h>
#include <polyphony/config/merge.h>
#include <polyphony/config/override.h>
#include <polyphony/config/yaml.h>

namespace polyphony::config {
namespace {

/// Hydra's own settings, as far as a run's folders and names depend on them.
constexpr std::string_view kHydraDefaults = R"yaml(
run:
  dir: outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}
sweep:
  dir: multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}
  subdir: ${hydra.job.num}
launcher:
  _target_: hydra._internal.core_plugins.basic_launcher.BasicLauncher
sweeper:
  _target_: hydra._internal.core_plugins.basic_sweeper.BasicSweeper
  max_batch_size: null
  params: null
hydra_logging: {}
job_logging: {}
env: {}
mode: null
searchpath: []
callbacks: {}
output_subdir: .hydra
overrides:
  hydra: []
  task: []
job:
  name: ???
  chdir: null
  override_dirname: ""
  id: ???
  num: ???
  config_name: ???
  env_set: {}
  env_copy: []
  config:
    override_dirname:
      kv_sep: '='
      item_sep: ','
      exclude_keys: []
runtime:
  version: 1.3.2
  version_base: "1.3"
  cwd: ???
  config_sources: ???
  output_dir: ???
  choices: {}
verbose: false
)yaml";

bool is_hydra_key(const Override& change) {
  return change.key == "hydra" || change.key.starts_with("hydra.") ||
         change.key.starts_with("hydra/");
}

Node string_list(const std::vector<std::string>& texts) {
  Node list = Node::list();
  for (const std::string& text : texts) list.items().emplace_back(text);
  return list;
}

/// "lr=0.1,model=big" of the job's sorted overrides, without the excluded keys.
std::string override_dirname(const std::vector<Override>& changes, const Node& hydra) {
  const Node* settings = hydra.select("job.config.override_dirname");
  const auto text = [&](const char* name, const std::string& otherwise) {
    const Node* node = settings == nullptr ? nullptr : settings->find(name);
    return node != nullptr && node->is_string() ? node->as_string() : otherwise;
  };
  const Node* exclude = settings == nullptr ? nullptr : settings->find("exclude_keys");
  std::vector<std::string> parts;
  for (const Override& change : changes) {
    if (is_hydra_key(change)) continue;
    const bool hidden =
        exclude != nullptr &&
        std::any_of(exclude->items().begin(), exclude->items().end(), [&](const Node& key) {
          return key.is_string() && key.as_string() == change.key;
        });
    if (!hidden) parts.push_back(change.key_element() + text("kv_sep", "=") + change.value_text());
  }
  std::sort(parts.begin(), parts.end());
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : text("item_sep", ",")) + part;
  return out;
}

void reject_sweeps(const std::vector<Override>& changes) {
  for (const Override& change : changes) {
    if (!change.sweep) continue;
    const Mark mark{std::make_shared<const std::string>("override " + change.text), 0};
    if (change.sweep->simple) {
      throw ComposeError(
          "ConfigCompositionException",
          fmt::format("Ambiguous value for argument '{}'", change.text),
          fmt::format("1. To use it as a list, use key=[value1,value2]\n"
                      "2. To use it as string, quote the value: key=\\'value1,value2\\'\n"
                      "3. To sweep over it, add --multirun to your command line"),
          change.key, mark);
    }
    throw ComposeError("ConfigCompositionException",
                       fmt::format("Sweep parameters '{}' requires --multirun", change.text),
                       "add --multirun to the command line", change.key, mark);
  }
}

bool is_group_override(const Override& change, const Repository& repository) {
  if (change.value.is_map()) return false;
  return repository.group_exists(change.key);
}

void fill_hydra(Composition& out, const ComposeRequest& request,
                const std::vector<Override>& changes) {
  Node& hydra = out.hydra;
  Node overrides = Node::map();
  overrides.set("hydra", string_list(out.hydra_overrides));
  overrides.set("task", string_list(out.task_overrides));
  hydra.set("overrides", std::move(overrides));
  if (!hydra.find("job")) hydra.set("job", Node::map());
  Node& job = *hydra.find("job");
  job.set("override_dirname", override_dirname(changes, hydra));
  const Node* name = job.find("config_name");
  if (name == nullptr || name->is_missing()) job.set("config_name", request.config_name);
  Node choices = Node::map();
  for (const auto& [group, option] : out.choices) choices.set(group, Node(option));
  if (!hydra.find("runtime")) hydra.set("runtime", Node::map());
  hydra.find("runtime")->set("choices", std::move(choices));
}

}  // namespace

Composition compose(const ComposeRequest& request) {
  const bool legacy = request.version_base == "1.1";
  std::vector<std::filesystem::path> roots{request.config_dir};
  roots.insert(roots.end(), request.search_path.begin(), request.search_path.end());
  Repository repository(std::move(roots), legacy);
  const std::vector<Override> changes = parse_overrides(request.overrides);
  reject_sweeps(changes);

  Composition out;
  std::vector<Override> groups, values;
  for (const Override& change : changes) {
    (is_hydra_key(change) ? out.hydra_overrides : out.task_overrides).push_back(change.text);
    if (change.key.starts_with("hydra/") && !repository.group_exists(change.key)) {
      continue;  // an option of Hydra's own plugins; nothing here depends on it
    }
    (is_group_override(change, repository) ? groups : values).push_back(change);
  }
  Node root = Node::map();
  root.set("hydra", parse_yaml(kHydraDefaults, "built-in hydra defaults"));
  if (!request.config_name.empty()) {
    DefaultsList list = expand_defaults(repository, request.config_name, groups, legacy);
    for (const ResolvedDefault& item : list.files) {
      const ConfigFile* file = repository.load(item.config);
      if (file == nullptr) continue;
      merge(root, in_package(file->content, item.package));
      if (request.observer != nullptr) request.observer->merged(item, file->content, root);
    }
    out.choices = std::move(list.choices);
    out.defaults = std::move(list.files);
    out.warnings = std::move(list.warnings);
  }
  for (const Override& change : values) {
    apply_override(root, change);
    if (request.observer != nullptr) request.observer->changed(change, root);
  }
  out.hydra = *root.find("hydra");
  fill_hydra(out, request, changes);
  root.erase("hydra");
  out.config = std::move(root);
  return out;
}

}  // namespace polyphony::config
