#include <algorithm>

#include <polyphony/base/error.h>
#include <polyphony/base/notice.h>
#include <polyphony/pipeline/embed.h>
#include <polyphony/pipeline/processes.h>
#include <polyphony/pipeline/recording.h>
#include <polyphony/pipeline/reference_tree.h>
#include <polyphony/tensor/seed.h>

namespace polyphony::pipeline {
namespace {

/// What `embed` reads of a configuration; the rest is that of the training it is for.
struct EmbedOptions {
  int num_threads = 0;
  ReferenceData data;
  train::TrainerOptions trainer;
  EmbeddingsOptions embeddings;

  void describe(config::Fields& f) {
    f("num_threads", num_threads, "threads of LibTorch's kernels; 0: its own choice");
    f.check("num_threads", num_threads >= 0, "at least 0");
    data.describe(f);
    f("trainer", trainer, "its devices share the work");
    f("embeddings", embeddings, "which hidden states, and where they are kept");
  }
};

void embed_all(const EmbedOptions& options, dist::Collective& collective) {
  tensor::set_up_compute(options.num_threads, tensor::Determinism::kOn);
  if (collective.is_global_zero()) inform("{}", tensor::describe_compute());
  Embedder embedder(options.embeddings, collective);
  embedder.must_store();
  for (const std::string& stage : options.data.stages()) {
    auto rows = options.data.rows(stage);
    const auto* source = dynamic_cast<const data::Embeddable*>(rows.get());
    if (source == nullptr || source->frozen_inputs().empty()) {
      throw ConfigError("dataset: it has no input for a frozen encoder to embed",
                        "write dataset.frozen=true and inputs: [input_values, input_ids], or use "
                        "a dataset of embeddings such as polyphony.datasets.KEMDy19");
    }
    embedder.embed(std::move(rows), stage);
  }
}

}  // namespace

void run_embed(const Request& request) {
  const auto read = [](const Request& mine) {
    config::Node config = resolved(mine);
    for_this_build(config.find("trainer"));
    EmbedOptions options;
    config::Fields fields(config, "polyphony embed", "");
    options.describe(fields);
    return options;
  };
  const EmbedOptions options = read(request);
  in_processes(request, options.trainer, options.num_threads,
               [&](const Request& mine, std::unique_ptr<train::Strategy> strategy) {
                 embed_all(mine.output_dir == request.output_dir ? options : read(mine),
                           strategy->collective());
               });
}

}  // namespace polyphony::pipeline
