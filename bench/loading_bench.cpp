// Loading a pretrained model, as a whole process.
//
//   loading_bench make CONFIG.json FOLDER   writes a model of that size with random weights
//   loading_bench load FOLDER               loads it as a classifier, as fine-tuning does
//   loading_bench embed FOLDER              loads it as a frozen encoder
//
// Prints one JSON line: the seconds. bench/loading runs it beside Transformers.
#include <cstdio>
#include <string>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/memory.h>
#include <polyphony/models/pretrained_encoder.h>
#include <polyphony/models/sequence_classifier.h>

#include "measured.h"

namespace polyphony {
namespace {

void run(const std::string& what, const std::string& first, const std::string& second) {
  using models::SequenceClassifier;
  if (what == "make") {
    SequenceClassifier(models::parse_pretrained_config(read_file(first), first))
        .save_pretrained(second);
  } else if (what == "load") {
    models::SequenceClassifierOptions options;
    options.pretrained_model = first;
    print_measured(time_steps(1, [&] { SequenceClassifier{options}; }));
  } else {
    print_measured(time_steps(1, [&] { models::PretrainedEncoder{first}; }));
  }
}

}  // namespace
}  // namespace polyphony

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: loading_bench make CONFIG.json FOLDER | load FOLDER | embed FOLDER\n",
               stderr);
    return 2;
  }
  polyphony::keep_freed_memory();
  try {
    polyphony::run(argv[1], argv[2], argc > 3 ? argv[3] : "");
    return 0;
  } catch (const polyphony::Error& error) {
    std::fprintf(stderr, "%s\n%s\n", error.what(), error.remedy().c_str());
    return static_cast<int>(error.exit_code());
  }
}
