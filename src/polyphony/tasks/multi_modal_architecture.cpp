#include <polyphony/tasks/multi_modal_architecture.h>

#include <fmt/format.h>

#include <polyphony/config/bind/registry.h>
#include <polyphony/optim/adamw.h>
#include <polyphony/optim/schedules.h>

namespace polyphony::tasks {
namespace {

config::Node metric(const char* name, const ArchitectureOptions& options) {
  config::Node node = config::Node::map();
  node.set("_target_", std::string("polyphony.metrics.") + name);
  node.set("task", "multiclass");
  node.set("num_classes", config::Node(static_cast<std::int64_t>(options.num_labels)));
  node.set("average", config::show(options.average));
  node.set("torchmetrics", config::show(options.torchmetrics));
  return node;
}

/// What both modules are, as options of the task that holds model, loss and metrics.
ClassificationOptions classification(const ArchitectureOptions& options) {
  ClassificationOptions task;
  task.model = options.model;
  task.num_labels = options.num_labels;
  task.average = options.average;
  task.class_weights = options.class_weights;
  config::Node metrics =
      config::Node::list({metric("F1Score", options), metric("Accuracy", options)});
  config::Node collection = config::Node::map();
  collection.set("_target_", "polyphony.metrics.MetricCollection");
  collection.set("metrics", std::move(metrics));
  collection.set("logging", config::show(options.metric_logging));
  task.metrics.node = std::move(collection);
  return task;
}

std::unique_ptr<optim::Optimizer> adamw(const ArchitectureOptions& options) {
  optim::AdamWOptions adamw;
  adamw.lr = options.lr;
  adamw.weight_decay = options.weight_decay;
  return std::make_unique<optim::AdamW>(adamw);
}

void describe_classes(config::Fields& f, const char* labels, ArchitectureOptions& options) {
  f.required("model", options.model, "what maps a batch to logits");
  f.required(labels, options.num_labels, "number of classes");
  f.check(labels, options.num_labels >= 2, "at least 2");
  f("average", options.average, "how classes are averaged in F1 and accuracy");
  f("metric_logging", options.metric_logging,
    "epoch: F1 and accuracy over all rows; batch_mean: the mean of the batches' values, as the "
    "original logs them");
  f("torchmetrics", options.torchmetrics, "whose rule for absent classes");
  f("lr", options.lr, "learning rate");
  f.check("lr", options.lr >= 0, "at least 0");
  f("interval", options.interval, "after what the rate is moved");
}

}  // namespace

void MultiModalArchitectureOptions::describe(config::Fields& f) {
  describe_classes(f, "num_labels", *this);
  f("weight_decay", weight_decay, "share of each weight taken away per unit of learning rate");
  f.check("weight_decay", weight_decay >= 0, "at least 0");
  f("strategy", strategy,
    "that of the trainer; the original chooses DeepSpeed's Adam by it, which computes the same");
  f("warmup_ratio", warmup_ratio, "share of all steps in which the rate comes up");
  f.check("warmup_ratio", warmup_ratio >= 0 && warmup_ratio < 1, "in [0, 1)");
  f("eta_min_ratio", eta_min_ratio, "last rate, as a share of lr");
  f.check("eta_min_ratio", eta_min_ratio >= 0 && eta_min_ratio <= 1, "in [0, 1]");
  tasks::describe(f, "class_weights", class_weights, kClassWeightsDoc);
}

MultiModalArchitecture::MultiModalArchitecture(Options options)
    : Classification(classification(options)), options_(std::move(options)) {}

train::Optimization MultiModalArchitecture::configure_optimizers() {
  train::Optimization result;
  result.optimizer = adamw(options_);
  result.optimizer->attach(parameters());
  optim::WarmupCosineOptions schedule;
  schedule.warmup_ratio = options_.warmup_ratio;
  schedule.eta_min_ratio = options_.eta_min_ratio;
  schedule.interval = options_.interval;
  result.schedule = std::make_unique<optim::WarmupCosine>(schedule);
  return result;
}

void MultiModalPlModuleOptions::describe(config::Fields& f) {
  describe_classes(f, "num_classes", *this);
  f("t_max", t_max, "steps from lr down to eta_min");
  f.check("t_max", t_max >= 1, "at least 1");
  f("eta_min", eta_min, "least rate");
  f.check("eta_min", eta_min >= 0, "at least 0");
  tasks::describe(f, "class_weights", class_weights, kClassWeightsDoc);
}

MultiModalPlModule::MultiModalPlModule(Options options)
    : Classification(classification(options)), options_(std::move(options)) {}

train::Optimization MultiModalPlModule::configure_optimizers() {
  train::Optimization result;
  result.optimizer = adamw(options_);
  result.optimizer->attach(parameters());
  optim::CosineAnnealingLROptions schedule;
  schedule.t_max = options_.t_max;
  schedule.eta_min = options_.eta_min;
  schedule.interval = options_.interval;
  result.schedule = std::make_unique<optim::CosineAnnealingLR>(schedule);
  return result;
}

POLYPHONY_REGISTER(train::Task, MultiModalArchitecture, "polyphony.tasks.MultiModalArchitecture",
                   "the original's module: cross-entropy, F1 and accuracy, AdamW, warm-up, cosine")
POLYPHONY_REGISTER(train::Task, MultiModalPlModule, "polyphony.tasks.MultiModalPlModule",
                   "the original's module as of January 2024: AdamW and a cosine of t_max steps")

}  // namespace polyphony::tasks
