#include <polyphony/config/repository.h>

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include <polyphony/base/files.h>
#include <polyphony/config/errors.h>
#include <polyphony/config/yaml.h>

namespace polyphony::config {
namespace {

namespace fs = std::filesystem;

/// The "# @package NAME" header: leading lines only; blank lines are skipped.
std::optional<std::string> package_header(const std::string& text, const std::string& source) {
  std::istringstream stream(text);
  std::optional<std::string> package;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    const std::size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos) continue;
    if (line[begin] != '#') break;
    const std::size_t key_begin = line.find_first_not_of("# \t", begin);
    if (key_begin == std::string::npos || line[key_begin] != '@') break;
    std::istringstream words(line.substr(key_begin));
    std::vector<std::string> parts;
    for (std::string word; words >> word;) parts.push_back(word);
    if (parts.size() != 2) {
      const Mark mark{std::make_shared<const std::string>(source), number};
      throw ComposeError(
          "ValueError",
          fmt::format("'{}': a header is a key and one value", line.substr(key_begin)),
          "write it as: # @package NAME", "", mark);
    }
    if (parts[0] == "@package") package = parts[1];
  }
  return package;
}

}  // namespace

Repository::Repository(std::vector<fs::path> roots, bool legacy)
    : roots_(std::move(roots)), legacy_(legacy) {}

const ConfigFile* Repository::load(const std::string& name) {
  const auto cached = files_.find(name);
  if (cached != files_.end()) return &cached->second;
  const bool has_extension = name.ends_with(".yaml") || (legacy_ && name.ends_with(".yml"));
  for (const fs::path& root : roots_) {
    const fs::path path = root / (has_extension ? name : name + ".yaml");
    std::error_code ignored;
    if (!fs::is_regular_file(path, ignored)) continue;
    const std::string text = read_file(path);
    ConfigFile file;
    file.path = path;
    file.package = package_header(text, path.string());
    file.content = parse_yaml(text, path.string());
    const Mark mark{std::make_shared<const std::string>(path.string()), 1};
    if (file.content.is_null()) {
      file.content = Node::map();
      file.content.set_mark(mark);
    }
    if (file.content.is_scalar()) {
      throw ComposeError("OSError", "the file holds a single value, not a mapping",
                         "a configuration file is a mapping of keys to values", "", mark);
    }
    if (const Node* defaults = file.content.find("defaults")) {
      file.defaults = *defaults;
      file.content.erase("defaults");
    }
    return &files_.emplace(name, std::move(file)).first->second;
  }
  return nullptr;
}

bool Repository::group_exists(const std::string& group) const {
  std::error_code ignored;
  return std::any_of(roots_.begin(), roots_.end(),
                     [&](const fs::path& root) { return fs::is_directory(root / group, ignored); });
}

std::vector<std::string> Repository::options(const std::string& group) const {
  std::vector<std::string> names;
  for (const fs::path& root : roots_) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root / group, error)) {
      if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::string Repository::search_path_text() const {
  std::string text = "Config search path:";
  for (const fs::path& root : roots_) text += "\n\t" + root.string();
  return text;
}

}  // namespace polyphony::config
