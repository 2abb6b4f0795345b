#include <polyphony/config/compose/provenance.h>

#include <algorithm>

#include <fmt/format.h>

#include <polyphony/config/compose/override.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

std::string join(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

std::string group_of(const std::string& config) {
  const std::size_t slash = config.rfind('/');
  return slash == config.npos ? "" : config.substr(0, slash);
}

bool same_place(const Mark& a, const Mark& b) {
  if (a.line != b.line || !a.source != !b.source) return false;
  return a.source == b.source || *a.source == *b.source;
}

const Node* child(const Node* node, const Node& key) {
  if (node == nullptr) return nullptr;
  for (const auto& [name, value] : node->entries()) {
    if (name == key) return &value;
  }
  return nullptr;
}

}  // namespace

void Provenance::record(const Node& written, const Node* present, const std::string& path,
                        const Setting& by) {
  if (present == nullptr) return;
  if (written.is_map() && present->is_map() && !written.entries().empty()) {
    for (const auto& [key, value] : written.entries())
      record(value, child(present, key), join(path, python_str(key)), by);
    return;
  }
  // "???" over a value is not written; what merging left out has another mark.
  if (!same_place(written.mark(), present->mark())) return;
  std::vector<Setting>& settings = history_[path];
  settings.push_back(by);
  settings.back().mark = written.mark();
  settings.back().value = python_str(written);
}

void Provenance::merged(const ResolvedDefault& file, const Node& content, const Node& root) {
  parents_.emplace(file.config, file.parent);
  const Node* place = file.package.empty() ? &root : root.select(file.package);
  record(content, place, file.package, {{}, "", file.config, file.package, file.parent, false});
}

void Provenance::changed(const Override& change, const Node& root) {
  if (change.type == OverrideType::kDelete) {
    const Mark mark{std::make_shared<const std::string>("override " + change.text), 0};
    history_[change.key].push_back({mark, "", "", "", "", true});
    return;
  }
  record(change.value, root.select(change.key), change.key, {});
}

const std::vector<Setting>& Provenance::history(const std::string& key) const {
  static const std::vector<Setting> kNone;
  const auto found = history_.find(key);
  return found == history_.end() ? kNone : found->second;
}

bool Provenance::named_by(const std::string& config, const std::string& ancestor) const {
  std::string at = config;
  for (std::size_t depth = 0; depth < parents_.size(); ++depth) {
    const auto parent = parents_.find(at);
    if (parent == parents_.end()) return false;
    if (parent->second == ancestor) return true;
    at = parent->second;
  }
  return false;
}

std::vector<std::string> Provenance::conflicts() const {
  std::vector<std::string> texts;
  for (const auto& [key, settings] : history_) {
    if (key == "hydra" || key.starts_with("hydra.")) continue;
    for (std::size_t i = 1; i < settings.size(); ++i) {
      const Setting& old = settings[i - 1];
      const Setting& now = settings[i];
      const std::string old_group = group_of(old.config), group = group_of(now.config);
      if (old_group.empty() || group.empty() || old_group == group) continue;
      if (now.package.empty() && !old.package.empty()) continue;
      if (named_by(old.config, now.config) || named_by(now.config, old.config)) continue;
      texts.push_back(fmt::format(
          "{}: written by two groups: {} at {} ({}), then {} at {} ({}), which stands", key,
          old_group, old.mark.text(), old.value, group, now.mark.text(), now.value));
    }
  }
  return texts;
}

}  // namespace polyphony::config
