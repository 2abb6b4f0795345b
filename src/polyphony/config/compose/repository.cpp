#include <polyphony/config/compose/repository.h>

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include <polyphony/base/files.h>
#include <polyphony/config/compose/hydra_tree.h>
#include <polyphony/config/yaml/errors.h>
#include <polyphony/config/yaml/yaml.h>

namespace polyphony::config {
namespace {

namespace fs = std::filesystem;

/// Hydra reads the header from this many characters of a file.
constexpr std::size_t kHeaderCharacters = 512;

/// The "# @package NAME" header: leading lines only; blank lines are skipped.
std::optional<std::string> package_header(std::string_view text, const std::string& source) {
  std::optional<std::string> package;
  text = text.substr(0, kHeaderCharacters);
  if (text.starts_with("\xEF\xBB\xBF")) return package;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t begin = line.find_first_not_of(" \t\r");
    if (begin == line.npos) continue;
    if (line[begin] != '#') break;
    const std::size_t key = line.find_first_not_of("# \t", begin);
    if (key == line.npos || line[key] != '@') break;
    std::istringstream words{std::string(line.substr(key))};
    std::vector<std::string> parts;
    for (std::string word; words >> word;) parts.push_back(word);
    if (parts.size() != 2) {
      const Mark mark{std::make_shared<const std::string>(source), number};
      throw ComposeError("ValueError",
                         fmt::format("'{}': a header is a key and one value", line.substr(key)),
                         "write it as: # @package NAME", "", mark);
    }
    if (parts[0] == "@package") package = parts[1];
  }
  return package;
}

/// What OmegaConf.load makes of a document that is no mapping or list.
Node as_container(Node root, const Mark& mark) {
  if (root.is_string()) {  // read a second time, as YAML text of its own
    root = parse_yaml(root.as_string(), *mark.source);
    if (root.is_string()) {
      Node map = Node::map();
      map.set(root.as_string(), Node());
      root = std::move(map);
    }
  }
  if (root.is_null()) root = Node::map();
  if (root.is_scalar()) {
    throw ComposeError("OSError", "the file holds a single value, not a mapping",
                       "a configuration file is a mapping of keys to values", "", mark);
  }
  if (!root.mark().source) root.set_mark(mark);
  return root;
}

std::unique_ptr<ConfigFile> parse_file(std::string_view text, std::string path) {
  auto file = std::make_unique<ConfigFile>();
  file->path = std::move(path);
  file->package = package_header(text, file->path);
  const Mark mark{std::make_shared<const std::string>(file->path), 1};
  try {
    file->content = as_container(parse_yaml(text, file->path), mark);
  } catch (const ComposeError& error) {
    if (!error.is_omegaconf()) throw;
    throw error.as("ConfigCompositionException");
  }
  if (const Node* defaults = file->content.find("defaults")) {
    file->defaults = *defaults;
    file->content.erase("defaults");
    if (!file->defaults.is_list()) {
      throw ComposeError(
          "ValueError",
          fmt::format("defaults must be a list (got {})", Node::kind_name(file->defaults.kind())),
          "write each entry after '- '", "defaults", file->defaults.mark());
    }
  }
  return file;
}

}  // namespace

ConfigSource ConfigSource::parse(std::string provider, const std::string& location) {
  const std::size_t at = location.find("://");
  if (at == std::string::npos) return {std::move(provider), "file", location};
  return {std::move(provider), location.substr(0, at), location.substr(at + 3)};
}

bool ConfigSource::available() const {
  if (scheme == "pkg") return path == "hydra.conf";
  std::error_code ignored;
  return scheme == "structured" || fs::is_directory(path, ignored);
}

Repository::Repository(const fs::path& root, const std::vector<fs::path>& more, bool legacy)
    : legacy_(legacy) {
  sources_.push_back({"hydra", "pkg", "hydra.conf"});
  sources_.push_back({"main", "file", root.string()});
  for (const fs::path& folder : more) {
    sources_.push_back({"command-line", "file", folder.string()});
  }
  sources_.push_back({"schema", "structured", ""});
}

bool Repository::has_extension(const std::string& name) const {
  return name.ends_with(".yaml") || (legacy_ && name.ends_with(".yml"));
}

const ConfigFile* Repository::load(const std::string& name) {
  const auto cached = files_.find(name);
  if (cached != files_.end()) return cached->second.get();
  return files_.emplace(name, read(name)).first->second.get();
}

std::shared_ptr<const ConfigFile> Repository::read(const std::string& name) {
  if (const BuiltInConfig* built_in = find_built_in(name)) {
    // Parsed once a process: every composition begins with them.
    thread_local std::map<std::string_view, std::shared_ptr<const ConfigFile>> parsed;
    std::shared_ptr<const ConfigFile>& file = parsed[built_in->path];
    if (!file) {
      auto fresh = parse_file(built_in->text, "pkg://hydra.conf/" + std::string(built_in->path));
      if (!built_in->package_header.empty()) fresh->package = built_in->package_header;
      file = std::move(fresh);
    }
    return file;
  }
  used_yml_ |= legacy_ && name.ends_with(".yml");
  for (const ConfigSource& source : sources_) {
    if (source.scheme != "file") continue;
    const fs::path path = fs::path(source.path) / (has_extension(name) ? name : name + ".yaml");
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return parse_file(read_file(path), path.string());
  }
  return nullptr;
}

bool Repository::group_exists(const std::string& group) const {
  if (is_built_in_group(group)) return true;
  std::error_code ignored;
  return std::any_of(sources_.begin(), sources_.end(), [&](const ConfigSource& source) {
    return source.scheme == "file" && fs::is_directory(fs::path(source.path) / group, ignored);
  });
}

std::vector<std::string> Repository::options(const std::string& group) const {
  std::vector<std::string> names = built_in_options(group);
  for (const ConfigSource& source : sources_) {
    if (source.scheme != "file") continue;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(fs::path(source.path) / group, error)) {
      const std::string name = entry.path().filename().string();
      if (has_extension(name) && entry.is_regular_file(error)) {
        names.push_back(name.substr(0, name.rfind('.')));
      }
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<std::string> Repository::groups(const std::string& parent) const {
  std::vector<std::string> names;
  if (parent.empty()) names.emplace_back("hydra");
  if (parent == "hydra") {
    names = {"env",         "help",     "hydra_help", "hydra_logging",
             "job_logging", "launcher", "output",     "sweeper"};
  }
  for (const ConfigSource& source : sources_) {
    if (source.scheme != "file") continue;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(fs::path(source.path) / parent, error)) {
      const std::string name = entry.path().filename().string();
      if (name != "__pycache__" && entry.is_directory(error)) names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::string Repository::search_path_text() const {
  std::string text = "Config search path:";
  for (const ConfigSource& source : sources_) text += "\n\t" + source.text();
  return text;
}

}  // namespace polyphony::config
