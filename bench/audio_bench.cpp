// Recording to what HuBERT reads: decode, mix, resample to 16 kHz, cut at 5 s, normalise.
// Reads the recordings of the folder POLYPHONY_BENCH_AUDIO; bench/audio makes one and compares.
#include <cstdlib>
#include <filesystem>
#include <vector>

#include <benchmark/benchmark.h>

#include <polyphony/audio/decode.h>
#include <polyphony/audio/feature_extractor.h>
#include <polyphony/base/memory.h>

namespace {

namespace fs = std::filesystem;
using namespace polyphony::audio;

std::vector<fs::path> recordings() {
  std::vector<fs::path> paths;
  const char* folder = std::getenv("POLYPHONY_BENCH_AUDIO");
  if (folder == nullptr) return paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  return paths;
}

void features(benchmark::State& state) {
  static const std::vector<fs::path> kPaths = recordings();
  if (kPaths.empty()) {
    state.SkipWithError("POLYPHONY_BENCH_AUDIO names no folder of recordings; run bench/audio");
    return;
  }
  polyphony::keep_freed_memory();  // as the program does
  constexpr std::int64_t kMost = 80000;
  FeatureExtractorConfig config;
  config.return_attention_mask = true;
  auto next = static_cast<std::size_t>(state.thread_index());
  for (auto _ : state) {
    Audio audio = load_mono(kPaths[next++ % kPaths.size()], config.sampling_rate, kMost);
    benchmark::DoNotOptimize(extract_one(std::move(audio.samples), config, kMost));
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(features)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
