#include <polyphony/tasks/module_task.h>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <polyphony/base/error.h>
#include <polyphony/base/terminal/table.h>
#include <polyphony/train/checkpoint.h>
#include <polyphony/train/trainer.h>

namespace polyphony::tasks {
namespace {

using train::NamedTensors;

std::string names_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  const std::size_t shown = std::min(names.size(), kShown);
  return fmt::format("{}{}",
                     fmt::join(names.begin(), names.begin() + static_cast<long>(shown), ", "),
                     names.size() > shown ? fmt::format(" and {} more", names.size() - shown) : "");
}

/// Copies tensors by name into a module's state. @throws DataError where the two differ
void copy_state(const NamedTensors& from, const NamedTensors& into, const std::string& source) {
  const torch::NoGradGuard no_grad;
  std::vector<std::string> missing;
  std::vector<std::string> unexpected;
  std::vector<std::string> misshapen;
  for (const auto& [name, target] : into) {
    const auto found = std::find_if(
        from.begin(), from.end(), [&name = name](const auto& item) { return item.first == name; });
    if (found == from.end()) {
      // A number that fairseq's table never reads; not all weights hold it.
      if (!name.ends_with("._float_tensor")) missing.push_back(name);
    } else if (found->second.sizes() != target.sizes()) {
      misshapen.push_back(fmt::format("{} [{}] here [{}]", name,
                                      fmt::join(found->second.sizes(), ","),
                                      fmt::join(target.sizes(), ",")));
    } else {
      at::Tensor(target).copy_(found->second);
    }
  }
  for (const auto& [name, tensor] : from) {
    const bool known = std::any_of(into.begin(), into.end(),
                                   [&name = name](const auto& item) { return item.first == name; });
    if (!known) unexpected.push_back(name);
  }
  if (missing.empty() && unexpected.empty() && misshapen.empty()) return;
  throw DataError(
      fmt::format(
          "{}: the weights do not fit this model: missing: {}; unexpected: {}; other shape: {}",
          source, names_of(missing), names_of(unexpected), names_of(misshapen)),
      "use the configuration that the checkpoint was trained with (it is in its run's .hydra/)");
}

/// How deep a module lies: "" is 0, "encoder" 1, "encoder.conv" 2.
int depth_of(const std::string& name) {
  return name.empty() ? 0 : 1 + static_cast<int>(std::count(name.begin(), name.end(), '.'));
}

std::int64_t parameters_of(const torch::nn::Module& module) {
  std::int64_t count = 0;
  for (const at::Tensor& parameter : module.parameters()) count += parameter.numel();
  return count;
}

}  // namespace

void ModuleTask::init_from(const config::Named<std::string>& checkpoints) {
  for (const auto& [name, checkpoint] : checkpoints) {
    NamedTensors from;
    const std::string head = "model.encoder.";
    for (const auto& [key, tensor] : train::load_state_dict(train::best_checkpoint(checkpoint))) {
      if (key.starts_with(head)) from.emplace_back(name + "." + key.substr(head.size()), tensor);
    }
    NamedTensors into;
    const auto belongs = [&part = name](const std::string& key) {
      return key.starts_with(part + ".");
    };
    for (const auto& item : model_->named_parameters()) {
      if (belongs(item.key())) into.emplace_back(item.key(), item.value());
    }
    for (const auto& item : model_->named_buffers()) {
      if (belongs(item.key())) into.emplace_back(item.key(), item.value());
    }
    if (into.empty()) {
      throw ConfigError(fmt::format("task.init_from.{}: the model has no part of that name", name),
                        "name a child of the model, e.g. audio or text");
    }
    copy_state(from, into, checkpoint);
  }
}

void ModuleTask::freeze(const std::vector<std::string>& parts) {
  for (const std::string& name : parts) {
    bool found = false;
    for (auto& item : model_->named_parameters()) {
      if (!item.key().starts_with(name + ".")) continue;
      item.value().set_requires_grad(false);
      found = true;
    }
    if (!found) {
      throw ConfigError(fmt::format("task.freeze: the model has no part '{}'", name),
                        "name a child of the model, e.g. audio or text");
    }
  }
}

void ModuleTask::log_metrics(metrics::MetricCollection& metrics) {
  dist::Collective& processes = trainer()->collective();
  const metrics::Exchange over_processes = {
      [&processes](std::span<double> sums) { processes.reduce(sums, dist::Reduction::kSum); },
      [&processes](std::span<const double> mine) { return processes.gather_numbers(mine); }};
  log_dict(metrics::scalars(metrics.compute(metrics.synced(over_processes))));
  metrics.reset();
}

NamedTensors ModuleTask::parameters() const {
  NamedTensors parameters;
  for (const auto& item : model_->named_parameters()) {
    if (item.value().requires_grad()) parameters.emplace_back("model." + item.key(), item.value());
  }
  return parameters;
}

NamedTensors ModuleTask::state() const {
  NamedTensors state;
  for (const auto& item : model_->named_parameters()) {
    state.emplace_back("model." + item.key(), item.value().detach());
  }
  for (const auto& item : model_->named_buffers())
    state.emplace_back("model." + item.key(), item.value());
  return state;
}

void ModuleTask::load_state(const NamedTensors& from, const std::string& source) {
  copy_state(from, state(), source);
}

std::string ModuleTask::summary(int max_depth) const {
  Table table({"module", "shapes", "parameters"});
  for (const auto& item : model_->named_modules("", /*include_self=*/false)) {
    if (max_depth >= 0 && depth_of(item.key()) > max_depth) continue;
    const std::int64_t count = parameters_of(*item.value());
    std::vector<std::string> shapes;
    for (const auto& own : item.value()->named_parameters(/*recurse=*/false)) {
      shapes.push_back(fmt::format("{}[{}]", own.key(), fmt::join(own.value().sizes(), ",")));
    }
    if (count > 0)
      table.add_row({item.key(), fmt::format("{}", fmt::join(shapes, " ")), fmt::to_string(count)});
  }
  std::int64_t trained = 0;
  for (const at::Tensor& parameter : model_->parameters()) {
    if (parameter.requires_grad()) trained += parameter.numel();
  }
  const std::int64_t all = parameters_of(*model_);
  constexpr double kMegabyte = 1e6;
  return table.to_text() + fmt::format("{} parameters ({:.1f} MB), {} trained, {} frozen\n", all,
                                       4 * static_cast<double>(all) / kMegabyte, trained,
                                       all - trained);
}

}  // namespace polyphony::tasks
