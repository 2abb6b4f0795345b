// Tokens a second of one thread. bench/tokenizers makes the folder that
// POLYPHONY_BENCH_TOKENIZERS names: KIND/tokenizer.json and KIND/texts.txt, a text a line.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <polyphony/base/files.h>
#include <polyphony/text/tokenizer.h>

namespace {

using polyphony::text::Encoding;
using polyphony::text::Tokenizer;

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void encode(benchmark::State& state, const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "tokenizer.json";
  const Tokenizer tokenizer = Tokenizer::from_json(polyphony::read_file(file), file.string());
  const std::vector<std::string> texts = lines_of(folder / "texts.txt");
  std::size_t tokens = 0;
  for (auto _ : state) {
    const std::vector<Encoding> encodings = tokenizer.encode_batch(texts, {});
    for (const Encoding& encoding : encodings) tokens += encoding.size();
  }
  state.counters["tokens"] =
      benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate);
}

const bool registered_folders = [] {
  const char* root = std::getenv("POLYPHONY_BENCH_TOKENIZERS");
  if (root == nullptr) return false;
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (std::filesystem::exists(entry.path() / "texts.txt")) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  for (const auto& folder : folders)
    benchmark::RegisterBenchmark(folder.filename().c_str(), encode, folder)
        ->Unit(benchmark::kMillisecond);
  return true;
}();

}  // namespace
