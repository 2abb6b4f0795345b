#include <polyphony/config/compose/hydra_tree.h>

#include <array>

namespace polyphony::config {
namespace {

// The values are Hydra 1.3.2's own: configurations refer to them and `--cfg hydra` prints them.
constexpr std::string_view kConfig = R"yaml(
defaults:
- output: default
- launcher: basic
- sweeper: basic
- help: default
- hydra_help: default
- hydra_logging: default
- job_logging: default
- callbacks: null
- env: default
mode: null
searchpath: []
run: {dir: '???'}
sweep: {dir: '???', subdir: '???'}
hydra_logging: ???
job_logging: ???
sweeper: ???
launcher: ???
callbacks: {}
help: {app_name: '???', header: '???', footer: '???', template: '???'}
hydra_help: {hydra_help: '???', template: '???'}
output_subdir: .hydra
overrides: {hydra: [], task: []}
job:
  name: ???
  chdir: null
  override_dirname: ???
  id: ???
  num: ???
  config_name: ???
  env_set: {}
  env_copy: []
  config:
    override_dirname: {kv_sep: '=', item_sep: ',', exclude_keys: []}
runtime:
  version: ???
  version_base: ???
  cwd: ???
  config_sources: ???
  output_dir: ???
  choices: {}
verbose: false
)yaml";

constexpr std::string_view kOutput = R"yaml(
run:
  dir: outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}
sweep:
  dir: multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}
  subdir: ${hydra.job.num}
)yaml";

constexpr std::string_view kLauncher =
    "_target_: hydra._internal.core_plugins.basic_launcher.BasicLauncher\n";

constexpr std::string_view kSweeper = R"yaml(
_target_: hydra._internal.core_plugins.basic_sweeper.BasicSweeper
max_batch_size: null
params: null
)yaml";

constexpr std::string_view kHelp = R"yaml(
app_name: ${hydra.job.name}
header: |
  ${hydra.help.app_name} is powered by Hydra.
footer: |
  Powered by Hydra (https://hydra.cc)
  Use --hydra-help to view Hydra specific help
template: |
  ${hydra.help.header}
  == Configuration groups ==
  Compose your configuration from those groups (group=option)

  $APP_CONFIG_GROUPS

  == Config ==
  Override anything in the config (foo.bar=value)

  $CONFIG

  ${hydra.help.footer}
)yaml";

constexpr std::string_view kHydraHelp = R"yaml(
template: |
  Hydra (${hydra.runtime.version})
  See https://hydra.cc for more info.

  == Flags ==
  $FLAGS_HELP

  == Configuration groups ==
  Compose your configuration from those groups (For example, append hydra/job_logging=disabled to command line)

  $HYDRA_CONFIG_GROUPS

  Use '--cfg hydra' to Show the Hydra config.
)yaml";

constexpr std::string_view kHydraLogging = R"yaml(
version: 1
formatters:
  simple:
    format: '[%(asctime)s][HYDRA] %(message)s'
handlers:
  console:
    class: logging.StreamHandler
    formatter: simple
    stream: ext://sys.stdout
root:
  level: INFO
  handlers: [console]
loggers:
  logging_example:
    level: DEBUG
disable_existing_loggers: false
)yaml";

constexpr std::string_view kHydraLoggingDebug = R"yaml(
version: 1
formatters:
  simple:
    format: '[%(asctime)s][%(name)s][%(levelname)s] - %(message)s'
handlers:
  file:
    class: logging.FileHandler
    mode: w
    formatter: simple
    filename: hydra-${hydra.job.name}.log
    delay: true
root:
  level: ERROR
  handlers: [file]
loggers:
  hydra:
    level: DEBUG
disable_existing_loggers: false
)yaml";

constexpr std::string_view kLoggingDisabled = R"yaml(
version: 1
root:
  level: ERROR
disable_existing_loggers: true
)yaml";

constexpr std::string_view kLoggingNone = R"yaml(
version: 1
root: null
disable_existing_loggers: false
)yaml";

constexpr std::string_view kJobLogging = R"yaml(
version: 1
formatters:
  simple:
    format: '[%(asctime)s][%(name)s][%(levelname)s] - %(message)s'
handlers:
  console:
    class: logging.StreamHandler
    formatter: simple
    stream: ext://sys.stdout
  file:
    class: logging.FileHandler
    formatter: simple
    filename: ${hydra.runtime.output_dir}/${hydra.job.name}.log
root:
  level: INFO
  handlers: [console, file]
disable_existing_loggers: false
)yaml";

constexpr std::string_view kJobLoggingStdout = R"yaml(
version: 1
formatters:
  simple:
    format: '%(message)s'
handlers:
  console:
    class: logging.StreamHandler
    formatter: simple
    stream: ext://sys.stdout
root:
  level: INFO
  handlers: [console]
disable_existing_loggers: false
)yaml";

constexpr auto kTree = std::to_array<BuiltInConfig>({
    {"_dummy_empty_config_", "", "{}"},
    {"hydra/config", "", kConfig},
    {"hydra/env/default", "", ""},
    {"hydra/help/default", "", kHelp},
    {"hydra/hydra_help/default", "", kHydraHelp},
    {"hydra/hydra_logging/default", "", kHydraLogging},
    {"hydra/hydra_logging/disabled", "", kLoggingDisabled},
    {"hydra/hydra_logging/hydra_debug", "", kHydraLoggingDebug},
    {"hydra/hydra_logging/none", "", kLoggingNone},
    {"hydra/job_logging/default", "", kJobLogging},
    {"hydra/job_logging/disabled", "", kLoggingDisabled},
    {"hydra/job_logging/none", "", kLoggingNone},
    {"hydra/job_logging/stdout", "", kJobLoggingStdout},
    {"hydra/launcher/basic", "", kLauncher},
    {"hydra/output/default", "hydra", kOutput},
    {"hydra/sweeper/basic", "", kSweeper},
});

}  // namespace

const BuiltInConfig* find_built_in(std::string_view path) {
  if (path.ends_with(".yaml")) path.remove_suffix(5);
  for (const BuiltInConfig& file : kTree) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

bool is_built_in_group(std::string_view group) {
  if (!group.starts_with("hydra")) return false;
  for (const BuiltInConfig& file : kTree) {
    if (file.path.starts_with(group) && file.path.substr(group.size()).starts_with('/')) {
      return true;
    }
  }
  return false;
}

std::vector<std::string> built_in_options(std::string_view group) {
  std::vector<std::string> names;
  for (const BuiltInConfig& file : kTree) {
    if (!file.path.starts_with(group)) continue;
    const std::string_view rest = file.path.substr(group.size());
    if (rest.starts_with('/') && rest.find('/', 1) == rest.npos) names.emplace_back(rest.substr(1));
  }
  return names;
}

}  // namespace polyphony::config
