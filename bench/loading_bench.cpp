// What it costs to load a pretrained model: time, and the most memory the process ever held.
//   loading_bench make CONFIG.json FOLDER   writes a model of that size with random weights
//   loading_bench load FOLDER               loads it as a classifier, as fine-tuning does
//   loading_bench embed FOLDER              loads it as a frozen encoder
// bench/loading runs them on a model of RoBERTa-large's size.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/memory.h>
#include <polyphony/models/pretrained_encoder.h>
#include <polyphony/models/sequence_classifier.h>

namespace {

namespace fs = std::filesystem;
using namespace polyphony;
using models::SequenceClassifier;

/// Peak resident memory of this process, in MB.
double peak() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1e3;
  }
  return 0;
}

void report(const char* what, const fs::path& folder, auto&& work) {
  const double before = peak();
  const auto begin = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%s %s: %.2f s, peak %.0f MB (%.0f MB before)\n", what, folder.c_str(), took.count(),
              peak(), before);
}

int run(const std::string& what, const fs::path& first, const fs::path& second) {
  if (what == "make") {
    SequenceClassifier(models::parse_pretrained_config(read_file(first), first.string()))
        .save_pretrained(second);
  } else if (what == "load") {
    models::SequenceClassifierOptions options;
    options.pretrained_model = first.string();
    report("load", first, [&] { SequenceClassifier{options}; });
  } else {
    report("embed", first, [&] { models::PretrainedEncoder{first.string()}; });
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: loading_bench make CONFIG.json FOLDER | load FOLDER | embed FOLDER\n",
               stderr);
    return 2;
  }
  keep_freed_memory();
  try {
    return run(argv[1], argv[2], argc > 3 ? argv[3] : "");
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n%s\n", error.what(), error.remedy().c_str());
    return static_cast<int>(error.exit_code());
  }
}
