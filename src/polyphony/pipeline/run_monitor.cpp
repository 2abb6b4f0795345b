#include <polyphony/pipeline/run_monitor.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/core/Tensor.h>

#include <polyphony/optim/optimizer.h>
#include <polyphony/record/host.h>
#include <polyphony/train/trainer.h>

namespace polyphony::pipeline {
namespace {

using Clock = std::chrono::steady_clock;

/// 64 bins of one width. Values that are no numbers are left out.
record::Histogram histogram_of(const at::Tensor& tensor) {
  constexpr std::size_t kBins = 64;
  const at::Tensor values = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  const float* begin = values.data_ptr<float>();
  const float* end = begin + values.numel();
  record::Histogram histogram;
  histogram.min = std::numeric_limits<double>::infinity();
  histogram.max = -histogram.min;
  for (const float* value = begin; value != end; ++value) {
    if (!std::isfinite(*value)) continue;
    histogram.min = std::min(histogram.min, double{*value});
    histogram.max = std::max(histogram.max, double{*value});
    histogram.sum += *value;
    histogram.sum_squares += double{*value} * *value;
    histogram.count += 1;
  }
  if (histogram.count == 0) return {};
  const double width = (histogram.max - histogram.min) / kBins;
  for (std::size_t i = 1; i <= kBins; ++i) {
    histogram.limits.push_back(histogram.min + width * static_cast<double>(i));
  }
  histogram.limits.back() = histogram.max;
  histogram.counts.assign(kBins, 0);
  for (const float* value = begin; value != end; ++value) {
    if (!std::isfinite(*value)) continue;
    const double place = width > 0 ? (*value - histogram.min) / width : 0;
    histogram.counts[std::min(static_cast<std::size_t>(place), kBins - 1)] += 1;
  }
  return histogram;
}

}  // namespace

void RunMonitor::on_fit_start(train::Trainer& trainer) {
  if (recording_.recorder() == nullptr) return;
  recording_.recorder()->post(
      [text = trainer.task().summary(-1)](record::Sink& sink) { sink.log_model_summary(text); });
}

void RunMonitor::on_train_start(train::Trainer&) {
  since_ = Clock::now();
  rows_ = 0;
}

void RunMonitor::on_train_batch_start(train::Trainer& trainer, const data::Batch& batch,
                                      std::int64_t) {
  rows_ += batch.at("index").size(0) * trainer.collective().world_size();
}

void RunMonitor::on_before_optimizer_step(train::Trainer& trainer, optim::Optimizer& optimizer) {
  if (!recording_.options().gradient_norm || !trainer.should_update_logs()) return;
  trainer.log_row({{"grad_norm", optim::grad_norm(optimizer)}});
}

void RunMonitor::on_train_batch_end(train::Trainer& trainer, double, std::int64_t) {
  if (recording_.recorder() == nullptr || !trainer.should_update_logs()) return;
  const std::chrono::duration<double> passed = Clock::now() - since_;
  const record::SystemMetric metric{"samples_per_second", record::now(),
                                    static_cast<double>(rows_) / std::max(passed.count(), 1e-6)};
  recording_.recorder()->post([metric](record::Sink& sink) { sink.log_system({&metric, 1}); });
  since_ = Clock::now();
  rows_ = 0;
}

void RunMonitor::on_train_epoch_end(train::Trainer& trainer) {
  const int every = recording_.options().histogram_every_n_epochs;
  if (recording_.recorder() == nullptr || every == 0) return;
  if ((trainer.current_epoch() + 1) % every != 0) return;
  for (const auto& [name, parameter] : trainer.task().parameters()) {
    record::Histogram histogram = histogram_of(parameter);
    if (histogram.count == 0) continue;
    recording_.recorder()->post([tag = "parameters/" + name, histogram = std::move(histogram),
                                 step = trainer.global_step()](record::Sink& sink) {
      sink.log_histogram(tag, histogram, step);
    });
  }
}

}  // namespace polyphony::pipeline
