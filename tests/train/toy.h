#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/remainder.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <polyphony/optim/adamw.h>
#include <polyphony/optim/schedules.h>
#include <polyphony/train/trainer.h>

namespace polyphony::train {

/// Rows of noise with labels that a linear layer can learn.
class ToyDataset : public data::Dataset {
 public:
  explicit ToyDataset(std::int64_t rows) : classes_{"a", "b", "c"} {
    rows_ = at::randn({rows, 4}, at::detail::createCPUGenerator(7));
    labels_ = at::remainder(at::arange(rows, at::kLong), 3);
  }
  std::int64_t size() const override { return rows_.size(0); }
  data::Item get(std::int64_t index) const override {
    data::Item item;
    item.set("row", at::full({}, index, at::kLong));
    item.set("label", labels_.select(0, index));
    return item;
  }
  data::Batch collate(std::span<const data::Item> items) const override {
    data::Batch batch = Dataset::collate(items);
    batch.set("x", rows_.index_select(0, batch.at("row")));
    return batch;
  }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::vector<std::int64_t> class_counts() const override { return {1, 1, 1}; }
  const CsvTable& table() const override { return table_; }

 private:
  at::Tensor rows_;
  at::Tensor labels_;
  std::vector<std::string> classes_;
  CsvTable table_;
};

/// A linear layer under dropout; counts right answers, and logs as a real task does.
class ToyTask : public Task {
 public:
  ToyTask() {
    weight_ = at::randn({3, 4}, at::detail::createCPUGenerator(11)).requires_grad_(true);
    bias_ = at::zeros({3}).requires_grad_(true);
  }
  void setup(const data::Dataset&) override {}
  at::Tensor training_step(const data::Batch& batch, std::int64_t) override {
    const at::Tensor loss = loss_of(batch);
    LogOptions both;
    both.on_step = both.on_epoch = true;
    log("train_loss", loss.detach(), both);
    return loss;
  }
  void validation_step(const data::Batch& batch, std::int64_t) override {
    log("val_loss", loss_of(batch));
    if (val_value) log("val_value", val_value());
  }
  void test_step(const data::Batch& batch, std::int64_t) override {
    log("test_loss", loss_of(batch));
  }
  at::Tensor predict_step(const data::Batch& batch, std::int64_t) override {
    return at::linear(batch.at("x"), weight_, bias_);
  }
  void training_epoch_end() override {
    log("train_right", static_cast<double>(right_));
    right_ = 0;
  }
  NamedTensors parameters() const override { return {{"weight", weight_}, {"bias", bias_}}; }
  NamedTensors state() const override {
    return {{"weight", weight_.detach()}, {"bias", bias_.detach()}};
  }
  void load_state(const NamedTensors& from, const std::string&) override {
    const at::NoGradGuard no_grad;
    weight_.copy_(from.at(0).second);
    bias_.copy_(from.at(1).second);
  }
  void set_training(bool on) override { training_ = on; }
  tensor::Value metric_state() const override { return tensor::Value(right_); }
  void load_metric_state(const tensor::Value& state) override { right_ = state.as_int(); }
  std::string summary(int) const override { return "toy\n"; }

  const at::Tensor& weight() const { return weight_; }
  std::function<double()> val_value;

 private:
  at::Tensor loss_of(const data::Batch& batch) {
    const at::Tensor logits =
        at::linear(at::dropout(batch.at("x"), 0.3, training_), weight_, bias_);
    if (training_) right_ += at::eq(logits.argmax(1), batch.at("label")).sum().item<std::int64_t>();
    return at::cross_entropy_loss(logits, batch.at("label"));
  }

  at::Tensor weight_;
  at::Tensor bias_;
  bool training_ = true;
  std::int64_t right_ = 0;
};

/// Everything that was logged, a line a row: "epoch step name=value …" with all digits.
class Lines : public Logger {
 public:
  explicit Lines(std::vector<std::string>& lines) : lines_(lines) {}
  void log_metrics(const MetricValues& values, std::int64_t step, std::int64_t epoch) override {
    char number[40];
    std::string line = std::to_string(epoch) + " " + std::to_string(step);
    for (const auto& [name, value] : values) {
      std::snprintf(number, sizeof number, "%.17g", value);
      line += " " + name + "=" + number;
    }
    lines_.push_back(line);
  }

 private:
  std::vector<std::string>& lines_;
};

/// AdamW with warm-up and cosine, moved each step.
inline Optimization toy_optimization() {
  Optimization optimization;
  optim::AdamWOptions adamw;
  adamw.lr = 0.05;
  optimization.optimizer = std::make_unique<optim::AdamW>(adamw);
  optim::WarmupCosineOptions cosine;
  cosine.warmup_ratio = 0.2;
  optimization.schedule = std::make_unique<optim::WarmupCosine>(cosine);
  return optimization;
}

inline data::LoaderOptions toy_loading(bool shuffle) {
  data::LoaderOptions loading;
  loading.batch_size = 5;
  loading.shuffle = shuffle;
  loading.workers = 0;
  loading.seed = 3;
  return loading;
}

/// Options of a run that shows and saves nothing.
inline TrainerOptions quiet(int epochs) {
  TrainerOptions options;
  options.max_epochs = epochs;
  options.num_sanity_val_steps = 0;
  options.log_every_n_steps = 1;
  return options;
}

}  // namespace polyphony::train
