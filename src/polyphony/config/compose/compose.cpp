#include <polyphony/config/compose/compose.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

#include <polyphony/config/compose/hydra_schema.h>
#include <polyphony/config/compose/merge.h>
#include <polyphony/config/compose/override.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

namespace fs = std::filesystem;
constexpr const char* kComposition = "ConfigCompositionException";
constexpr const char* kHydraVersion = "1.3.2";

bool is_hydra_override(const Override& change) {
  return change.key.starts_with("hydra.") || change.key.starts_with("hydra/");
}

Mark place_of(const Override& change) {
  return {std::make_shared<const std::string>("override " + change.text), 0};
}

/// "1.1" of "1.1" or "1.1.0"; below 1.2 the ways of Hydra 1.1 hold.
bool is_legacy(const std::optional<std::string>& version_base) {
  if (!version_base) return false;
  int major = 0, minor = 0;
  const char* end = version_base->data() + version_base->size();
  const auto first = std::from_chars(version_base->data(), end, major);
  bool good = first.ec == std::errc{};
  if (good && first.ptr != end) {
    good = *first.ptr == '.' && std::from_chars(first.ptr + 1, end, minor).ec == std::errc{};
  }
  if (!good || std::pair(major, minor) < std::pair(1, 1)) {
    throw ComposeError("HydraException",
                       fmt::format("version_base must be >= \"1.1\", not \"{}\"", *version_base),
                       "write 1.1, 1.2 or 1.3, or leave it out for the newest");
  }
  return std::pair(major, minor) < std::pair(1, 2);
}

void check_sweeps(const std::vector<Override>& changes, bool multirun) {
  for (const Override& change : changes) {
    if (!change.sweep) continue;
    if (multirun) {
      if (!is_hydra_override(change)) continue;
      throw ComposeError(
          kComposition,
          fmt::format("Sweeping over Hydra's configuration is not supported : '{}'", change.text),
          "sweep over a key of the experiment", change.key, place_of(change));
    }
    if (change.sweep->simple) {
      throw ComposeError(kComposition,
                         fmt::format("Ambiguous value for argument '{}'", change.text),
                         "1. To use it as a list, use key=[value1,value2]\n"
                         "2. To use it as string, quote the value: key=\\'value1,value2\\'\n"
                         "3. To sweep over it, add --multirun to your command line",
                         change.key, place_of(change));
    }
    throw ComposeError(kComposition,
                       fmt::format("Sweep parameters '{}' requires --multirun", change.text),
                       "add --multirun to the command line", change.key, place_of(change));
  }
}

/// "lr=0.1,model=big": the task's overrides as written, sorted, without the excluded keys.
std::string override_dirname(const std::vector<Override>& changes, const Node& hydra) {
  const Node* settings = hydra.select("job.config.override_dirname");
  const auto text = [&](const char* name, const std::string& otherwise) {
    const Node* node = settings == nullptr ? nullptr : settings->find(name);
    return node != nullptr && node->is_string() ? node->as_string() : otherwise;
  };
  const Node* exclude = settings == nullptr ? nullptr : settings->find("exclude_keys");
  std::vector<std::string> parts;
  for (const Override& change : changes) {
    if (is_hydra_override(change)) continue;
    const bool hidden =
        exclude != nullptr &&
        std::any_of(exclude->items().begin(), exclude->items().end(), [&](const Node& key) {
          return key.is_string() && key.as_string() == change.key;
        });
    if (!hidden) parts.push_back(change.text);
  }
  std::sort(parts.begin(), parts.end());
  const std::string between = text("item_sep", ",");
  const std::string equals = text("kv_sep", "=");
  std::string joined;
  for (const std::string& part : parts) joined += (joined.empty() ? "" : between) + part;
  std::string out;
  for (const char c : joined) out += c == '=' ? equals : std::string(1, c);
  return out;
}

/// One composition, step by step in Hydra's order.
class Composer {
 public:
  Composer(const ComposeRequest& request, Repository& repository)
      : request_(request), repository_(repository), legacy_(is_legacy(request.version_base)) {
    context_.env = request.env;
  }

  Composition run() {
    check_directory();
    changes_ = parse_overrides(request_.overrides);
    for (Override& change : changes_) {
      // Our own switch (compat.h) exists for every tree, whether its files name it or not.
      const bool ours = change.key == "compat.accept_renamed";
      if (ours && change.type == OverrideType::kChange) change.type = OverrideType::kForceAdd;
    }
    add_search_path();
    check_sweeps(changes_, request_.multirun);
    merge_files();
    for (const Override& change : values_) {
      apply_override(root_, change, context_);
      if (change.key.starts_with("hydra.") || change.key == "hydra") {
        check_hydra_types(*root_.find("hydra"), UnknownKeys::kKeep);
      }
      if (request_.observer != nullptr) request_.observer->changed(change, root_);
    }
    out_.hydra = std::move(*root_.find("hydra"));
    root_.erase("hydra");
    fill_hydra();
    out_.config = std::move(root_);
    return std::move(out_);
  }

 private:
  void check_directory() const {
    if (repository_.sources()[1].available()) return;
    throw ComposeError("MissingConfigException",
                       fmt::format("Primary config directory not found.\nCheck that the config "
                                   "directory '{}' exists and readable",
                                   request_.config_dir.string()),
                       "--config-path names it", "",
                       {std::make_shared<const std::string>(request_.config_dir.string()), 0});
  }

  /// hydra.searchpath of the command line, else of the primary configuration.
  void add_search_path() {
    std::optional<Node> places;
    std::string provider = "hydra.searchpath in main";
    Mark mark;
    if (!request_.config_name.empty()) {
      const ConfigFile* primary = repository_.load(request_.config_name);
      if (primary != nullptr && primary->content.is_list()) {
        throw ComposeError(
            kComposition,
            fmt::format("primary config '{}' must be a mapping, not a list", request_.config_name),
            "a configuration file is a mapping of keys to values", "", primary->content.mark());
      }
      if (primary != nullptr && primary->content.select("hydra.searchpath") != nullptr) {
        places = select(primary->content, "hydra.searchpath", context_);
        mark = primary->content.select("hydra.searchpath")->mark();
      }
    }
    for (const Override& change : changes_) {
      if (change.key_element() != "hydra.searchpath") continue;
      places = change.value;
      mark = place_of(change);
      provider = "hydra.searchpath in command-line";
      break;
    }
    if (!places || places->is_null()) return;
    const bool good =
        places->is_list() && std::all_of(places->items().begin(), places->items().end(),
                                         [](const Node& item) { return item.is_string(); });
    if (!good) {
      throw ComposeError(
          kComposition,
          fmt::format("hydra.searchpath must be a list of strings. Got: {}", python_str(*places)),
          "write it as [file:///directory]", "hydra.searchpath", mark);
    }
    for (const Node& place : places->items()) {
      ConfigSource source = ConfigSource::parse(provider, place.as_string());
      const auto& known = repository_.sources();
      const bool repeated = std::any_of(known.begin(), known.end(), [&](const auto& other) {
        return other.text() == source.text();
      });
      if (!repeated) repository_.add_source(std::move(source));
    }
    for (const ConfigSource& source : repository_.sources()) {
      if (source.available()) continue;
      out_.warnings.push_back(
          fmt::format("provider={}, path={} is not available.", source.provider, source.path));
    }
  }

  void merge_files() {
    DefaultsRequest wanted;
    wanted.primary = request_.config_name;
    wanted.legacy = legacy_;
    wanted.skip_missing = request_.multirun;
    wanted.context = context_;
    for (const Override& change : changes_) {
      if (change.sweep) continue;
      const bool is_group = !change.value.is_map() && repository_.group_exists(change.key);
      (is_group ? wanted.groups : values_).push_back(change);
    }
    DefaultsList list = expand_defaults(repository_, wanted);
    root_ = Node::map();
    bool typed = false;
    for (const ResolvedDefault& item : list.files) {
      const ConfigFile* file = repository_.load(item.config);
      typed |= item.config == "hydra/config";
      merge_file(item, *file, typed);
      if (request_.observer != nullptr) request_.observer->merged(item, file->content, root_);
    }
    out_.choices = std::move(list.choices);
    out_.tree = std::move(list.tree);
    out_.defaults = std::move(list.files);
    if (repository_.used_yml()) {
      out_.warnings.emplace_back(
          "Support for .yml files is deprecated. Use .yaml extension for Hydra config files");
    }
    std::move(list.warnings.begin(), list.warnings.end(), std::back_inserter(out_.warnings));
    out_.hidden_typos = std::move(list.hidden_typos);
  }

  void merge_file(const ResolvedDefault& item, const ConfigFile& file, bool typed) {
    const bool touches_hydra = item.package.starts_with("hydra") ||
                               (item.package.empty() && file.content.find("hydra") != nullptr);
    try {
      if (item.package.empty() && !item.primary) {
        if (file.content.select("hydra.searchpath") != nullptr) {
          throw ComposeError(kComposition,
                             fmt::format("In '{}': Overriding hydra.searchpath is only supported "
                                         "from the primary config",
                                         item.config),
                             "move it into the primary configuration", "hydra.searchpath",
                             file.content.select("hydra.searchpath")->mark());
        }
      }
      merge_at(root_, file.content, item.package, {true, &root_, ""});
    } catch (const ComposeError& error) {
      if (!error.is_omegaconf()) throw;
      throw error.as(kComposition);
    }
    if (typed && touches_hydra) check_hydra_types(*root_.find("hydra"), UnknownKeys::kReject);
  }

  void fill_hydra() {
    Node& hydra = out_.hydra;
    for (const Override& change : changes_) {
      (is_hydra_override(change) ? out_.hydra_overrides : out_.task_overrides)
          .push_back(change.text);
    }
    Node& overrides = *hydra.find("overrides");
    for (const std::string& text : out_.hydra_overrides) {
      overrides.find("hydra")->items().emplace_back(text);
    }
    for (const std::string& text : out_.task_overrides) {
      overrides.find("task")->items().emplace_back(text);
    }
    Node& job = *hydra.find("job");
    const Node* name = job.find("name");
    if (name == nullptr || name->is_missing()) job.set("name", request_.job_name);
    out_.override_dirname = override_dirname(changes_, hydra);
    job.set("override_dirname", out_.override_dirname);
    job.set("config_name", request_.config_name.empty() ? Node() : Node(request_.config_name));
    copy_environment(job);

    Node& runtime = *hydra.find("runtime");
    for (const auto& [group, option] : out_.choices) {
      runtime.find("choices")->set(group, option ? Node(*option) : Node());
    }
    std::error_code ignored;
    runtime.set("version", kHydraVersion);
    runtime.set("version_base", request_.version_base.value_or("1.3"));
    runtime.set("cwd", fs::current_path(ignored).string());
    Node sources = Node::list();
    for (const ConfigSource& source : repository_.sources()) {
      Node item = Node::map();
      item.set("path", source.path);
      item.set("schema", source.scheme);
      item.set("provider", source.provider);
      sources.items().push_back(std::move(item));
    }
    runtime.set("config_sources", std::move(sources));
  }

  void copy_environment(Node& job) const {
    const Node* names = job.find("env_copy");
    if (names == nullptr) return;
    for (const Node& name : names->items()) {
      std::optional<std::string> value;
      if (request_.env) {
        value = request_.env(name.as_string());
      } else if (const char* text = std::getenv(name.as_string().c_str())) {
        value = text;
      }
      if (!value) {
        throw ComposeError("KeyError",
                           fmt::format("hydra.job.env_copy: environment variable '{}' is not set",
                                       name.as_string()),
                           "set it, or take it off the list", "hydra.job.env_copy", name.mark());
      }
      job.find("env_set")->set(name.as_string(), Node(*value));
    }
  }

  const ComposeRequest& request_;
  Repository& repository_;
  bool legacy_;
  ResolveContext context_;
  std::vector<Override> changes_, values_;
  Node root_;
  Composition out_;
};

}  // namespace

Repository repository_of(const ComposeRequest& request) {
  return Repository(request.config_dir, request.search_path, is_legacy(request.version_base));
}

Composition compose(const ComposeRequest& request, Repository& repository) {
  try {
    return Composer(request, repository).run();
  } catch (const ComposeError& error) {
    if (!error.is_omegaconf()) throw;
    throw error.as(kComposition);
  }
}

Composition compose(const ComposeRequest& request) {
  Repository repository = repository_of(request);
  return compose(request, repository);
}

}  // namespace polyphony::config
