#include <polyphony/pipeline/report_to.h>

#include <algorithm>
#include <cstdlib>

namespace polyphony::pipeline {
namespace {

using config::Node;

std::string environment(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

/// Transformers' own words for yes.
bool wandb_disabled() {
  std::string value = environment("WANDB_DISABLED", "");
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return value == "1" || value == "on" || value == "yes" || value == "true";
}

Node logger(const char* name) {
  Node node = Node::map();
  node.set("_target_", std::string("polyphony.loggers.") + name);
  return node;
}

}  // namespace

Loggers reporters(const train::TrainingArguments& arguments,
                  const std::filesystem::path& directory) {
  const train::TrainingArgumentsOptions& options = arguments.options();
  Loggers loggers;
  for (const std::string& name : arguments.reporters()) {
    Node node;
    if (name == "wandb") {
      if (wandb_disabled()) continue;
      node = logger("WandbLogger");
      node.set("project", environment("WANDB_PROJECT", "huggingface"));
      node.set("save_dir", directory.string());
      if (options.run_name) node.set("name", *options.run_name);
    } else if (name == "tensorboard") {
      node = logger("TensorBoardLogger");
      node.set("save_dir", options.logging_dir.value_or(options.output_dir + "/runs"));
      node.set("name", "");
    } else {
      node = logger("MLFlowLogger");
      node.set("experiment_name", environment("MLFLOW_EXPERIMENT_NAME", "Default"));
      if (options.run_name) node.set("run_name", *options.run_name);
    }
    loggers.emplace_back(name, config::Child<train::Logger>{std::move(node)});
  }
  return loggers;
}

Loggers with_reporters(Loggers loggers, Loggers more) {
  for (auto& reporter : more) {
    const bool there = std::any_of(loggers.begin(), loggers.end(), [&](const auto& logger) {
      return logger.first == reporter.first;
    });
    if (!there) loggers.push_back(std::move(reporter));
  }
  return loggers;
}

}  // namespace polyphony::pipeline
