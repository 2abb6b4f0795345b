// What logging costs the training thread, with all formats at once. The bound of issue 6 is 20
// microseconds a scalar.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <polyphony/record/formats/csv_log.h>
#include <polyphony/record/formats/mlflow_log.h>
#include <polyphony/record/formats/tensorboard_log.h>
#include <polyphony/record/formats/wandb_log.h>
#include <polyphony/record/host.h>
#include <polyphony/record/recorder.h>
#include <polyphony/record/store_log.h>

namespace polyphony::record {
namespace {

namespace fs = std::filesystem;

std::vector<std::unique_ptr<Sink>> all_formats(const fs::path& folder) {
  RunInfo info;
  info.host = host_name();
  info.directory = folder;
  std::vector<std::unique_ptr<Sink>> sinks;
  sinks.push_back(std::make_unique<StoreLog>(folder / "runs.db", info));
  sinks.push_back(std::make_unique<RunCsvLog>(folder, "bench"));
  sinks.push_back(std::make_unique<CsvLog>(folder / "csv", ""));
  sinks.push_back(
      std::make_unique<TensorBoardLog>(TensorBoardOptions{folder / "tb", "", true}, info));
  WandbOptions wandb;
  wandb.save_dir = folder;
  sinks.push_back(std::make_unique<WandbLog>(wandb, info));
  MlflowOptions mlflow;
  mlflow.directory = folder / "mlruns";
  sinks.push_back(std::make_unique<MlflowLog>(mlflow, info));
  return sinks;
}

Row row_of(std::int64_t step, std::int64_t scalars) {
  Row row{step, 0, now(), {}};
  for (std::int64_t i = 0; i < scalars; ++i) {
    row.values.emplace_back("train_metric_number_" + std::to_string(i), 0.5);
  }
  return row;
}

/// Rows of N scalars, as fast as the training thread can log them; time_per_scalar is on that
/// thread. Items: scalars.
void log_rows(benchmark::State& state) {
  std::string pattern = fs::temp_directory_path() / "record_bench_XXXXXX";
  const fs::path folder = mkdtemp(pattern.data());
  {
    Recorder recorder(all_formats(folder));
    std::int64_t step = 0;
    for (auto _ : state) recorder.log(row_of(step++, state.range(0)));
    state.SetItemsProcessed(state.iterations() * state.range(0));
    state.counters["time_per_scalar"] =
        benchmark::Counter(static_cast<double>(state.iterations() * state.range(0)),
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
    state.counters["left_out"] = static_cast<double>(recorder.left_out());
  }
  fs::remove_all(folder);
}
BENCHMARK(log_rows)->Arg(1)->Arg(10)->Arg(100)->Iterations(20000)->UseRealTime();

/// The same rows written to every format on the calling thread, flushed each: what the recorder's
/// thread takes off.
void log_rows_on_the_calling_thread(benchmark::State& state) {
  std::string pattern = fs::temp_directory_path() / "record_bench_XXXXXX";
  const fs::path folder = mkdtemp(pattern.data());
  {
    auto sinks = all_formats(folder);
    std::int64_t step = 0;
    for (auto _ : state) {
      const Row row = row_of(step++, state.range(0));
      for (auto& sink : sinks) {
        sink->log(row);
        sink->flush();
      }
    }
    state.counters["time_per_scalar"] =
        benchmark::Counter(static_cast<double>(state.iterations() * state.range(0)),
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  }
  fs::remove_all(folder);
}
BENCHMARK(log_rows_on_the_calling_thread)->Arg(1)->Arg(10)->Iterations(200)->UseRealTime();

}  // namespace
}  // namespace polyphony::record
