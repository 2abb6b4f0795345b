#include <polyphony/pipeline/hyper_parameters.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace polyphony::pipeline {
namespace {

using config::Node;

/// Entries of a section but some.
void add(Node& to, const Node* section, std::initializer_list<std::string_view> without) {
  if (section == nullptr || !section->is_map()) return;
  for (const auto& [key, value] : section->entries()) {
    if (!key.is_string()) continue;
    if (std::find(without.begin(), without.end(), key.as_string()) != without.end()) continue;
    to.set(key.as_string(), value);
  }
}

void add_first(Node& to, const char* name, const Node& config,
               std::initializer_list<const char*> paths) {
  for (const char* path : paths) {
    if (const Node* value = config.select(path)) {
      to.set(name, *value);
      return;
    }
  }
}

}  // namespace

Node logged_hyper_parameters(const Node& config) {
  Node values = Node::map();
  for (const char* section : {"task", "architecture", "architecture_module"}) {
    const Node* task = config.find(section);
    add(values, task, {"_target_", "model"});
    if (task != nullptr) add(values, task->find("model"), {"_target_"});
  }
  add_first(values, "batch_size", config, {"loading.batch_size", "batch_size"});
  add_first(values, "epoch", config, {"epoch", "trainer.max_epochs"});
  add_first(values, "seed", config, {"seed"});
  add(values, config.find("trainer"), {"_target_"});
  for (const char* section : {"dataset", "dataset_module"}) {
    add(values, config.find(section), {"_target_", "data_path", "manifest", "split", "seed"});
  }
  for (const char* section : {"optimizer", "schedule"}) {
    Node options = Node::map();
    add(options, config.find(section), {"_target_", "_partial_"});
    if (!options.entries().empty()) values.set(section, std::move(options));
  }
  return values;
}

}  // namespace polyphony::pipeline
