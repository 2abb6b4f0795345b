#include <polyphony/job/show.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/compose/repository.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::job {
namespace {

using config::Composition;
using config::Node;
using Row = std::vector<std::string>;

void header(const std::string& text, char filler) {
  inform("{}\n{}", text, std::string(text.size(), filler));
}

/// A table in Hydra's form. @param tail  what it puts behind the header's last bar
void table(const std::vector<Row>& rows, const std::string& tail) {
  std::vector<std::size_t> widths(rows[0].size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const auto line = [&](const Row& row) {
    std::string text = "|";
    for (std::size_t i = 0; i < row.size(); ++i)
      text += fmt::format(" {:<{}} |", row[i], widths[i]);
    return text;
  };
  const std::string top = line(rows[0]) + tail;
  header(top, '-');
  for (std::size_t i = 1; i < rows.size(); ++i) inform("{}", line(rows[i]));
  inform("{}", std::string(top.size(), '-'));
}

void show_search_path(const config::Repository& repository) {
  inform("");
  header("Config search path", '*');
  std::vector<Row> rows{{"Provider", "Search path"}};
  for (const config::ConfigSource& source : repository.sources()) {
    rows.push_back({source.provider, source.scheme + "://" + source.path});
  }
  table(rows, "");
}

void show_tree(const config::DefaultsTree& tree, int indent) {
  inform("{:{}}{}{}", "", 2 * indent, tree.text, tree.children.empty() ? "" : ":");
  for (const config::DefaultsTree& child : tree.children) show_tree(child, indent + 1);
}

void show_defaults_tree(const Composition& composition) {
  inform("");
  header("Defaults Tree", '*');
  show_tree(composition.tree, 0);
}

void show_defaults_list(const Composition& composition) {
  inform("");
  header("Defaults List", '*');
  std::vector<Row> rows{{"Config path", "Package", "_self_", "Parent"}};
  for (const config::ResolvedDefault& file : composition.defaults) {
    rows.push_back({file.config, file.package, file.self ? "True" : "False", file.parent});
  }
  table(rows, " ");
}

void show_plugins() {
  header("Installed Hydra Plugins", '*');
  const std::array<std::pair<const char*, std::vector<const char*>>, 4> plugins{{
      {"ConfigSource:",
       {"FileConfigSource", "ImportlibResourcesConfigSource", "StructuredConfigSource"}},
      {"CompletionPlugin:", {"BashCompletion", "FishCompletion", "ZshCompletion"}},
      {"Launcher:", {"BasicLauncher"}},
      {"Sweeper:", {"BasicSweeper"}},
  }};
  for (const auto& [kind, names] : plugins) {
    inform("\t{}\n\t{}", kind, std::string(std::string_view(kind).size(), '-'));
    for (const char* name : names) inform("\t\t{}", name);
  }
}

void show_composition(const Composition& composition, const config::Repository& repository) {
  show_search_path(repository);
  show_defaults_tree(composition);
  show_defaults_list(composition);
  header("Config", '*');
  inform("{}", config::to_yaml(composition.config));
}

/// Every group below a parent that has options, in full.
void collect_groups(const config::Repository& repository, const std::string& parent,
                    std::vector<std::string>& out) {
  for (const std::string& name : repository.groups(parent)) {
    const std::string group = parent.empty() ? name : parent + "/" + name;
    if (!repository.options(group).empty()) out.push_back(group);
    collect_groups(repository, group, out);
  }
}

std::string groups_text(const config::Repository& repository, bool of_hydra) {
  std::vector<std::string> groups;
  collect_groups(repository, "", groups);
  std::sort(groups.begin(), groups.end());
  std::string text;
  for (const std::string& group : groups) {
    const bool hydra = group == "hydra" || group.starts_with("hydra/");
    if (hydra != of_hydra) continue;
    text += fmt::format("{}: {}\n", group, fmt::join(repository.options(group), ", "));
  }
  return text;
}

/// Python's string.Template: $NAME and ${NAME} are replaced, $$ is a dollar.
std::string substituted(const std::string& text,
                        const std::function<std::string(const std::string&)>& value_of) {
  const auto is_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
  };
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i++];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      i += 2;
      continue;
    }
    const bool braces = text[i + 1] == '{';
    std::size_t end = i + (braces ? 2 : 1);
    const std::size_t begin = end;
    while (end < text.size() && is_name(text[end])) ++end;
    out += value_of(text.substr(begin, end - begin));
    i = end + (braces ? 1 : 0);
  }
  return out;
}

std::string help_text(const App& app, const config::Repository& repository, const std::string& text,
                      const std::string& shown) {
  return substituted(text, [&](const std::string& name) -> std::string {
    if (name == "FLAGS_HELP") return flags_help(app.program);
    if (name == "HYDRA_CONFIG_GROUPS") return groups_text(repository, true);
    if (name == "APP_CONFIG_GROUPS") return groups_text(repository, false);
    if (name == "CONFIG") return shown;
    throw ConfigError(fmt::format("the help template names '${}'", name),
                      "it may name $FLAGS_HELP, $HYDRA_CONFIG_GROUPS, $APP_CONFIG_GROUPS and "
                      "$CONFIG; a dollar sign is written $$");
  });
}

Node hydra_without_help(const Composition& composition) {
  Node hydra = composition.hydra;
  hydra.erase("hydra_help");
  hydra.erase("help");
  Node root = Node::map();
  root.set("hydra", std::move(hydra));
  return root;
}

Node resolved_config(const Composition& composition) {
  config::ResolveContext context;
  context.hydra = composition.hydra;
  return config::resolve(composition.config, context);
}

}  // namespace

void show_config(Source& source, const Arguments& arguments) {
  const Composition composition = source.load(arguments.overrides, RunMode::kRun);
  const Settings settings(composition);
  Node root = *arguments.cfg == "job"     ? composition.config
              : *arguments.cfg == "hydra" ? hydra_without_help(composition)
                                          : settings.root();
  const std::string package = arguments.package.value_or("_global_");
  const bool whole = package == "_global_";
  std::optional<Node> shown = root;
  if (!whole) {
    const Node* written = root.select(package);
    // A part stays as it is written; a text that stands for another part is that part.
    const bool part = written != nullptr && !written->is_scalar();
    shown = part ? *written : config::select(root, package, settings.context());
  }
  if (!shown || shown->is_null()) {
    throw ConfigError(fmt::format("package '{}' not found in config", package),
                      "name a key path of the configuration that --cfg shows");
  }
  if (shown->is_scalar()) {
    inform("{}", config::python_str(*shown));
    return;
  }
  if (!whole) inform("# @package {}", package);
  if (arguments.resolve) {
    shown = whole ? config::resolve(root, settings.context())
                  : config::at_key(root, package, settings.context());
  }
  notify(Notice::kInfo, config::to_yaml(*shown));
}

void show_info(Source& source, const std::string& kind, const std::vector<std::string>& overrides) {
  if (kind == "plugins") return show_plugins();
  const Composition composition = source.load(overrides, RunMode::kRun);
  if (kind == "searchpath") return show_search_path(source.repository());
  if (kind == "defaults-tree") return show_defaults_tree(composition);
  if (kind == "defaults") return show_defaults_list(composition);
  if (kind == "all") {
    header("Hydra 1.3.2", '=');
    show_plugins();
  }
  show_composition(composition, source.repository());
}

void show_help(const App& app, Source& source, const Arguments& arguments) {
  const Composition composition = source.load(arguments.overrides, RunMode::kRun);
  const Node* own = composition.hydra.select("help.template");
  const bool built_in = own == nullptr || own->mark().text().starts_with("pkg://");
  std::string text = app.help_template;
  if (!built_in || text.empty()) text = Settings(composition).text("help.template");
  const std::string shown =
      config::to_yaml(arguments.resolve ? resolved_config(composition) : composition.config);
  inform("{}", help_text(app, source.repository(), text, shown));
}

void show_hydra_help(const App& app, Source& source, const Arguments& arguments) {
  const Composition composition = source.load_hydra_only(arguments.overrides);
  const std::string text = Settings(composition).text("hydra_help.template");
  const std::string shown = config::to_yaml(hydra_without_help(composition));
  inform("{}", help_text(app, source.repository(), text, shown));
}

}  // namespace polyphony::job
