// What an epoch costs before any fusion step: hidden states computed, and read from the cache.
//
// usage: embedding_bench [ROWS] [FOLDER]
//
// Encoders of the sizes of HuBERT-large and RoBERTa-large with random weights (one transformer
// layer of each: hidden_states[0] needs none), 5 s of audio and 249 tokens a row. Prints
// milliseconds a row of the first run, and of a second one in the same process, hashing and reading
// of all included.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <polyphony/base/files.h>
#include <polyphony/base/memory.h>
#include <polyphony/data/embeddable.h>
#include <polyphony/data/loader.h>
#include <polyphony/models/sequence_classifier.h>
#include <polyphony/pipeline/embed.h>
#include <polyphony/tensor/seed.h>

namespace polyphony {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHubertLarge = R"({"model_type": "hubert", "hidden_size": 1024,
  "intermediate_size": 4096, "num_hidden_layers": 1, "num_attention_heads": 16,
  "conv_dim": [512, 512, 512, 512, 512, 512, 512], "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
  "conv_stride": [5, 2, 2, 2, 2, 2, 2], "conv_bias": true, "feat_extract_norm": "layer",
  "do_stable_layer_norm": true, "num_conv_pos_embeddings": 128,
  "num_conv_pos_embedding_groups": 16, "apply_spec_augment": false})";
constexpr const char* kRobertaLarge = R"({"model_type": "roberta", "vocab_size": 32000,
  "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 1,
  "num_attention_heads": 16, "max_position_embeddings": 514, "type_vocab_size": 1,
  "pad_token_id": 1})";

std::string saved(const fs::path& folder, const char* config) {
  if (!fs::exists(folder / "model.safetensors")) {
    const auto parsed = models::parse_pretrained_config(config, folder.string());
    models::SequenceClassifier(parsed).save_pretrained(folder);
  }
  return folder.string();
}

/// Rows of noise: their contents have the size of a 16-bit recording.
class Noise : public data::Dataset, public data::Embeddable {
 public:
  Noise(std::int64_t rows, std::string audio, std::string text)
      : rows_(rows), audio_(std::move(audio)), text_(std::move(text)) {}
  std::int64_t size() const override { return rows_; }
  data::Item get(std::int64_t row) const override { return bare_row(row); }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::vector<std::int64_t> class_counts() const override { return {rows_}; }
  const CsvTable& table() const override { return table_; }
  std::vector<data::FrozenInput> frozen_inputs() const override {
    return {{"input_values", "audio_hidden", audio_, "", 80000},
            {"input_ids", "text_hidden", text_, "", 249}};
  }
  std::string content(const data::FrozenInput& input, std::int64_t row) const override {
    std::string bytes(input.input == "input_values" ? 160044 : 1992, static_cast<char>(row));
    return bytes + std::to_string(row);
  }
  at::Tensor encoder_input(const data::FrozenInput& input, std::int64_t row) const override {
    auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(row));
    if (input.input == "input_values") return at::randn({80000}, generator);
    return at::randint(5, 32000, {249}, generator, at::kLong);
  }
  data::Item bare_row(std::int64_t) const override {
    data::Item item;
    item.set("label", at::zeros({}, at::kLong));
    return item;
  }

 private:
  std::int64_t rows_;
  std::string audio_;
  std::string text_;
  std::vector<std::string> classes_ = {"any"};
  CsvTable table_;
};

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void run(std::int64_t rows, const fs::path& folder) {
  tensor::set_up_compute(2, tensor::Determinism::kOff);
  tensor::seed_everything(1);
  fmt::print("{}\n", tensor::describe_compute());
  const std::string audio = saved(folder / "hubert-large", kHubertLarge);
  const std::string text = saved(folder / "roberta-large", kRobertaLarge);
  pipeline::EmbeddingsOptions options;
  options.directory = (folder / "cache").string();
  fs::remove_all(options.directory);
  dist::Collective alone;
  std::vector<double> epochs;
  for (int round = 0; round < 2; ++round) {
    pipeline::Embedder embedder(options, alone);
    embedder.embed(std::make_unique<Noise>(1, audio, text), "warm-up");  // loads the encoders
    epochs.push_back(seconds_of([&] {
      const auto embedded = embedder.embed(std::make_unique<Noise>(rows, audio, text), "train");
      data::LoaderOptions loading;
      loading.workers = 2;
      data::Loader loader(*embedded, loading);
      loader.start(0);
      while (loader.next()) {
      }
    }));
    fmt::print("{}: {:.2f} ms a row\n", round == 0 ? "first run" : "second run",
               1e3 * epochs.back() / static_cast<double>(rows));
  }
  fmt::print("ratio {:.0f}\n", epochs[0] / epochs[1]);
}

}  // namespace
}  // namespace polyphony

int main(int argc, char** argv) {
  polyphony::keep_freed_memory();  // as the program does
  const std::int64_t rows = argc > 1 ? std::atoll(argv[1]) : 40;
  polyphony::run(rows, argc > 2 ? argv[2] : "/tmp/polyphony-embedding-bench");
}
