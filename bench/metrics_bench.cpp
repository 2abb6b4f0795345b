// What metrics cost on batches of 64 rows of 7 classes: F1, accuracy, precision and recall, macro.
// bench/baselines/torchmetrics_update.py measures the same in Python.
#include <memory>
#include <vector>

#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>

#include <polyphony/metrics/collection.h>
#include <polyphony/metrics/curve_metrics.h>
#include <polyphony/metrics/stat_score_metrics.h>

namespace {

using namespace polyphony::metrics;

constexpr int kRows = 64;
constexpr int kClasses = 7;

template <class Class>
std::shared_ptr<const Metric> of_classes() {
  typename Class::Options options;
  options.num_classes = kClasses;
  return std::make_shared<Class>(options);
}

MetricCollection four_scores() {
  return MetricCollection(std::vector<std::shared_ptr<const Metric>>{
      of_classes<MulticlassF1Score>(), of_classes<MulticlassAccuracy>(),
      of_classes<MulticlassPrecision>(), of_classes<MulticlassRecall>()});
}

struct Rows {
  at::Tensor logits = at::randn({kRows, kClasses});
  at::Tensor target = at::randint(kClasses, {kRows}, at::kLong);
};

void update(benchmark::State& state) {
  MetricCollection metrics = four_scores();
  const Rows rows;
  for (auto _ : state) metrics.update(rows.logits, rows.target);
}
BENCHMARK(update);

void forward(benchmark::State& state) {
  MetricCollection metrics = four_scores();
  const Rows rows;
  for (auto _ : state) benchmark::DoNotOptimize(metrics.forward(rows.logits, rows.target));
}
BENCHMARK(forward);

void compute(benchmark::State& state) {
  MetricCollection metrics = four_scores();
  const Rows rows;
  metrics.update(rows.logits, rows.target);
  for (auto _ : state) benchmark::DoNotOptimize(metrics.compute());
}
BENCHMARK(compute);

void update_calibration(benchmark::State& state) {
  MetricCollection metrics(
      std::vector<std::shared_ptr<const Metric>>{of_classes<MulticlassCalibrationError>()});
  const Rows rows;
  for (auto _ : state) metrics.update(rows.logits, rows.target);
}
BENCHMARK(update_calibration);

void compute_auroc_of_10000_rows(benchmark::State& state) {
  MetricCollection metrics(
      std::vector<std::shared_ptr<const Metric>>{of_classes<MulticlassAUROC>()});
  metrics.update(at::randn({10000, kClasses}), at::randint(kClasses, {10000}, at::kLong));
  for (auto _ : state) benchmark::DoNotOptimize(metrics.compute());
}
BENCHMARK(compute_auroc_of_10000_rows)->Unit(benchmark::kMillisecond);

}  // namespace
