#include <polyphony/job/settings.h>

#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include <polyphony/base/notice.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::job {
namespace {

namespace fs = std::filesystem;
using config::ComposeError;
using config::Node;

/// Hydra's basic launcher has no n_jobs; ours has, in whatever configuration.
std::string with_our_keys(const std::string& text) {
  constexpr std::string_view kKey = "hydra.launcher.n_jobs=";
  return text.starts_with(kKey) ? "++" + text : text;
}

fs::path config_directory(const App& app, const Arguments& arguments) {
  const fs::path folder = arguments.config_path ? fs::path(*arguments.config_path) : app.config_dir;
  if (folder.extension() == ".yaml" || folder.extension() == ".yml") {
    throw ComposeError("ValueError",
                       "Using config_path to specify the config name is not supported, specify the "
                       "config name via config_name.",
                       "write --config-path DIRECTORY --config-name NAME");
  }
  return fs::absolute(folder).lexically_normal();
}

config::ComposeRequest base_request(const App& app, const Arguments& arguments) {
  config::ComposeRequest request;
  request.job_name = app.name;
  request.config_dir = config_directory(app, arguments);
  request.config_name = arguments.config_name.value_or(app.config_name);
  request.version_base = arguments.version_base ? arguments.version_base : app.version_base;
  if (request.version_base == "") request.version_base = "1.1";
  if (!arguments.config_dir) return request;
  const fs::path more = fs::absolute(*arguments.config_dir).lexically_normal();
  if (!fs::is_directory(more)) {
    throw ComposeError("SearchPathException",
                       fmt::format("Additional config directory '{}' not found", more.string()),
                       "check the path given to --config-dir");
  }
  request.search_path.push_back(more);
  return request;
}

}  // namespace

Source::Source(const App& app, const Arguments& arguments, Warnings warnings)
    : base_(base_request(app, arguments)),
      warnings_(warnings),
      repository_(config::repository_of(base_)),
      said_(arguments.version_base || app.version_base != "") {}

config::ComposeRequest Source::request(const std::vector<std::string>& overrides) const {
  config::ComposeRequest request = base_;
  for (const std::string& text : overrides) request.overrides.push_back(with_our_keys(text));
  return request;
}

config::Composition Source::compose(const config::ComposeRequest& request) {
  config::Composition composition = config::compose(request, repository_);
  for (const auto* texts : {&composition.warnings, &composition.hidden_typos}) {
    for (const std::string& text : *texts) {
      if (!warned_.insert(text).second || warnings_ == Warnings::kDropped) continue;
      warn("{}", text);
    }
  }
  return composition;
}

config::Composition Source::load(const std::vector<std::string>& overrides, RunMode mode) {
  if (mode == RunMode::kRun) {
    config::Provenance provenance;
    return load_run(overrides, provenance);
  }
  config::ComposeRequest request = this->request(overrides);
  request.multirun = true;
  return compose(request);
}

config::Composition Source::load_run(const std::vector<std::string>& overrides,
                                     config::Provenance& provenance) {
  config::ComposeRequest request = this->request(overrides);
  request.observer = &provenance;
  config::Composition composition = compose(request);
  for (std::string& text : provenance.conflicts()) composition.warnings.push_back(std::move(text));
  return composition;
}

config::Composition Source::load_hydra_only(const std::vector<std::string>& overrides) {
  config::ComposeRequest request = this->request(overrides);
  request.config_name.clear();
  return compose(request);
}

Settings::Settings(const config::Composition& composition) : root_(Node::map()) {
  root_.set("hydra", composition.hydra);  // first, as its files are merged first
  const auto& entries = composition.config.entries();
  root_.entries().insert(root_.entries().end(), entries.begin(), entries.end());
  context_.hydra = composition.hydra;
}

Node Settings::get(std::string_view path) const {
  return config::select(root_, "hydra." + std::string(path), context_).value_or(Node());
}

std::string Settings::text(std::string_view path) const {
  const Node node = get(path);
  return node.is_null() ? "" : config::python_str(node);
}

Node list_of(const std::vector<std::string>& texts) {
  Node list = Node::list();
  for (const std::string& text : texts) list.items().emplace_back(text);
  return list;
}

std::vector<std::string> texts_of(const Node& list) {
  std::vector<std::string> texts;
  for (const Node& item : list.items()) texts.push_back(config::python_str(item));
  return texts;
}

}  // namespace polyphony::job
