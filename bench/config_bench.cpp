// Composing: what it costs in process, and how the cost grows with the number of groups.
// The original needs 60-63 ms for compose() of a tree like BM_ShippedTree's.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <benchmark/benchmark.h>

#include <polyphony/config/compose/compose.h>
#include <polyphony/config/compose/sweep.h>
#include <polyphony/config/interpolate/interpolate.h>

namespace {

namespace fs = std::filesystem;
using polyphony::config::compose;
using polyphony::config::ComposeRequest;

/// A tree with `groups` groups of two options, twelve values each; removed at the end.
class Tree {
 public:
  explicit Tree(int groups)
      : path_(fs::temp_directory_path() / ("polyphony-bench-" + std::to_string(::getpid()))) {
    fs::create_directories(path_);
    std::ofstream primary(path_ / "main.yaml");
    primary << "defaults:\n";
    for (int i = 0; i < groups; ++i) {
      const std::string group = "group" + std::to_string(i);
      primary << "  - " << group << ": first\n";
      fs::create_directories(path_ / group);
      for (const char* option : {"first", "second"}) {
        std::ofstream file(path_ / group / (std::string(option) + ".yaml"));
        file << "_target_: some.module.Class" << i << "\nname: " << option << "\nrate: 1e-3\n"
             << "size: 128\nenabled: true\nnothing: null\nitems: [1, 2, 3]\n"
             << "inner:\n  depth: 3\n  path: ${seed}/${.depth}\n  words: [a, b]\n  last: 0.5\n";
      }
    }
    primary << "  - _self_\nseed: 7\n";
  }
  ~Tree() { fs::remove_all(path_); }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  ComposeRequest request() const {
    ComposeRequest request;
    request.config_dir = path_;
    request.config_name = "main";
    return request;
  }

 private:
  fs::path path_;
};

void BM_ComposeGroups(benchmark::State& state) {
  const Tree tree(static_cast<int>(state.range(0)));
  const ComposeRequest request = tree.request();
  for (auto _ : state) benchmark::DoNotOptimize(compose(request));
  state.SetComplexityN(state.range(0));
}
BENCHMARK(BM_ComposeGroups)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->Complexity()
    ->Unit(benchmark::kMicrosecond);

void BM_ResolveGroups(benchmark::State& state) {
  const Tree tree(static_cast<int>(state.range(0)));
  const auto made = compose(tree.request());
  for (auto _ : state) benchmark::DoNotOptimize(polyphony::config::resolve(made.config));
  state.SetComplexityN(state.range(0));
}
BENCHMARK(BM_ResolveGroups)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->Complexity()
    ->Unit(benchmark::kMicrosecond);

/// A dozen groups with overrides: the size of the reference's multimodal.yaml.
void BM_ComposeExperiment(benchmark::State& state) {
  const Tree tree(12);
  ComposeRequest request = tree.request();
  request.overrides = {"group3=second", "group5.rate=0.1", "+group7.more=[1,2]", "seed=3"};
  for (auto _ : state) benchmark::DoNotOptimize(compose(request));
}
BENCHMARK(BM_ComposeExperiment)->Unit(benchmark::kMicrosecond);

/// Sixteen jobs, each composed, with one reading of the files.
void BM_MultirunOf16(benchmark::State& state) {
  const Tree tree(12);
  ComposeRequest request = tree.request();
  request.overrides = {"group3=first,second", "group5=first,second", "seed=1,2,3,4"};
  for (auto _ : state) {
    auto repository = polyphony::config::repository_of(request);
    const auto plan = polyphony::config::expand_sweep(request, repository);
    for (std::size_t job = 0; job < plan.jobs.size(); ++job) {
      benchmark::DoNotOptimize(
          compose(polyphony::config::job_request(request, plan, job), repository));
    }
  }
}
BENCHMARK(BM_MultirunOf16)->Unit(benchmark::kMicrosecond);

}  // namespace
