#include <polyphony/pipeline/embed.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <functional>
#include <iostream>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <utility>

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <polyphony/base/digest.h>
#include <polyphony/base/error.h>
#include <polyphony/base/json.h>
#include <polyphony/base/notice.h>
#include <polyphony/base/signals.h>
#include <polyphony/base/terminal/progress.h>
#include <polyphony/data/embedded_rows.h>
#include <polyphony/data/loader.h>
#include <polyphony/dist/peer_lost.h>
#include <polyphony/models/pretrained_encoder.h>

namespace polyphony::pipeline {
namespace {

constexpr int kReaders = 2;  // threads that read and decode

/// Keys of config.json that no hidden state depends on.
constexpr const char* kIrrelevant[] = {"_name_or_path",
                                       "architectures",
                                       "id2label",
                                       "label2id",
                                       "num_labels",
                                       "problem_type",
                                       "torch_dtype",
                                       "transformers_version",
                                       "classifier_dropout",
                                       "classifier_proj_size",
                                       "output_hidden_states",
                                       "output_attentions",
                                       "use_cache",
                                       "hidden_dropout",
                                       "hidden_dropout_prob",
                                       "attention_dropout",
                                       "activation_dropout",
                                       "attention_probs_dropout_prob",
                                       "feat_proj_dropout",
                                       "final_dropout",
                                       "layerdrop",
                                       "mask_time_prob",
                                       "mask_feature_prob",
                                       "apply_spec_augment",
                                       "gradient_checkpointing"};

/// Whether a weight belongs to a layer above: "encoder.layers.7.…" for layer 7 or less.
bool lies_above(const std::string& name, std::int64_t layer) {
  for (const char* const head : {"encoder.layers.", "encoder.layer."}) {
    const std::size_t at = name.find(head);
    if (at == std::string::npos) continue;
    return std::stoll(name.substr(at + std::string_view(head).size())) >= layer;
  }
  return false;
}

/// Hash of all that hidden states of a layer depend on beside the input.
std::string fingerprint(const models::PretrainedEncoder& encoder, std::int64_t layer,
                        data::EmbeddingType type) {
  nlohmann::json config = parse_json(encoder.config().json);
  for (const char* key : kIrrelevant) config.erase(key);
  Digest digest(DigestKind::kSha256);
  digest.update(fmt::format("polyphony embeddings 1\n{}\nlayer {}\n{}\n", config.dump(), layer,
                            config::show(type)));
  for (const auto& [name, weight] : encoder.weights()) {
    if (lies_above(name, layer)) continue;
    const at::Tensor plain = weight.contiguous();
    digest.update(fmt::format("{} [{}]\n", name, fmt::join(plain.sizes(), ",")));
    digest.update({static_cast<const char*>(plain.data_ptr()), plain.nbytes()});
  }
  return digest.hex();
}

/// Calls work(i) for every i below n on a few threads; the first error goes on to the caller.
void for_all(std::int64_t n, const std::function<void(std::int64_t)>& work) {
  std::atomic<std::int64_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  const auto run = [&] {
    for (std::int64_t i = next++; i < n; i = next++) {
      try {
        stop_if_requested();
        work(i);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!error) error = std::current_exception();
        next = n;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kReaders; ++t) threads.emplace_back(run);
  for (std::thread& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
}

void show_complaints(data::EmbeddingCache& cache) {
  for (const std::string& text : cache.take_complaints()) {
    warn("{}", text);
  }
}

/// The encoder inputs of some rows, one at a time.
class Inputs : public data::Dataset {
 public:
  Inputs(const data::Embeddable& rows, const data::FrozenInput& input,
         std::vector<std::int64_t> chosen)
      : rows_(rows), input_(input), chosen_(std::move(chosen)) {}
  std::int64_t size() const override { return std::ssize(chosen_); }
  data::Item get(std::int64_t index) const override {
    data::Item item;
    item.set("values", rows_.encoder_input(input_, chosen_[static_cast<std::size_t>(index)]));
    return item;
  }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::vector<std::int64_t> class_counts() const override { return {}; }
  const CsvTable& table() const override { return table_; }

 private:
  const data::Embeddable& rows_;
  const data::FrozenInput& input_;
  std::vector<std::int64_t> chosen_;
  std::vector<std::string> classes_;
  CsvTable table_;
};

}  // namespace

void EmbeddingsOptions::describe(config::Fields& f) {
  EmbeddingCacheOptions::describe(f);
  f("layer", layer, "hidden_states[layer]: 0 enters the first layer; those above are not computed");
  f.check("layer", layer >= 0, "at least 0");
  f("verify", verify, "compare the checksum of every embedding first, not only of those in use");
}

/// A frozen encoder and what names its hidden states.
struct Embedder::Frozen {
  models::PretrainedEncoder network;
  std::string fingerprint;

  explicit Frozen(const std::string& name) : network(name) {}

  /// Hidden states of one input alone, so that they depend on nothing else.
  /// @param values  [1, samples or tokens]; @return [positions, dims]
  at::Tensor encode(const at::Tensor& values, std::int64_t max_length, std::int64_t layer) const {
    models::EncoderInput input;
    input.values = values;
    const std::int64_t missing = max_length - values.size(1);
    // A group norm, as HuBERT base has, sees the padding that the original gives it.
    const bool group_norm =
        network.is_speech() && network.config().speech.conv.norm == nn::FeatureNorm::kGroup;
    if (group_norm && missing > 0) {
      input.values = at::constant_pad_nd(values, {0, missing});
      input.attention_mask = at::zeros(input.values.sizes(), at::kLong);
      input.attention_mask.narrow(1, 0, values.size(1)).fill_(1);
    }
    const models::EncoderOutput output = network.encode(input, layer);
    at::Tensor states = output.sequence.select(0, 0);
    if (output.mask.defined()) {
      states = states.narrow(0, 0, output.mask.sum().item<std::int64_t>());
    }
    return states;
  }
};

/// Computes what the cache has lost since, in whichever thread misses it; one at a time.
struct Embedder::Lost {
  std::shared_ptr<data::EmbeddingCache> cache;
  std::int64_t layer = 0;
  std::vector<data::FrozenInput> inputs;
  std::vector<std::shared_ptr<const Frozen>> encoders;  ///< of each input
  std::vector<data::EmbeddedInput> keys;                ///< of each input
  std::mutex mutex;
  bool told = false;  ///< that the cache cannot be written to

  at::Tensor compute(const data::Embeddable& rows, std::size_t input, std::int64_t row) {
    const std::lock_guard<std::mutex> lock(mutex);
    const std::string& key = keys[input].keys[static_cast<std::size_t>(row)];
    if (auto found = cache->find(key)) return *found;  // another thread's work
    show_complaints(*cache);
    const at::Tensor values = rows.encoder_input(inputs[input], row).unsqueeze(0);
    const at::Tensor embedding = encoders[input]->encode(values, inputs[input].max_length, layer);
    try {
      cache->put(key, embedding);
    } catch (const Error& error) {
      const auto kept = cache->find(key);
      if (!kept) throw;
      // In memory, but not on the disk: no reason to end a run.
      if (!std::exchange(told, true)) warn("{}", error.what());
      return *kept;
    }
    return cache->find(key).value_or(embedding);
  }
};

Embedder::Embedder(EmbeddingsOptions options, dist::Collective& collective)
    : options_(std::move(options)),
      collective_(collective),
      cache_(std::make_shared<data::EmbeddingCache>(options_)) {
  if (options_.verify && collective_.is_global_zero()) cache_->verify();
  show_complaints(*cache_);
}

Embedder::~Embedder() = default;

Embedder::Frozen& Embedder::encoder(const std::string& pretrained_model) {
  std::shared_ptr<Frozen>& frozen = encoders_[pretrained_model];
  if (!frozen) {
    frozen = std::make_shared<Frozen>(pretrained_model);
    if (options_.layer > frozen->network.layers()) {
      throw ConfigError(fmt::format("embeddings.layer: {}, but {} has {} layers", options_.layer,
                                    pretrained_model, frozen->network.layers()),
                        "write a number from 0 to that");
    }
    frozen->fingerprint = fingerprint(frozen->network, options_.layer, options_.dtype);
  }
  return *frozen;
}

std::vector<std::string> Embedder::keys_of(const data::Embeddable& rows, std::int64_t size,
                                           const data::FrozenInput& input) {
  const std::string& encoder_print = encoder(input.pretrained_model).fingerprint;
  std::vector<std::string> keys(static_cast<std::size_t>(size));
  for_all(size, [&](std::int64_t row) {
    Digest digest(DigestKind::kSha256);
    digest.update(fmt::format("{}\n{}\n", encoder_print, input.preprocessing));
    digest.update(rows.content(input, row));
    keys[static_cast<std::size_t>(row)] = digest.hex();
  });
  return keys;
}

void Embedder::stop_if_asked() {
  const int signal = StopSignals::requested();
  if (signal == 0) return;
  cache_->flush();
  throw Interrupted::with_remedy(
      signal, cache_->directory(),
      "to go on where it stopped, give the same command: what is computed is kept");
}

std::size_t Embedder::compute_missing(const data::Embeddable& rows, const data::FrozenInput& input,
                                      const std::vector<std::string>& keys,
                                      const std::string& name) {
  // Dealt out by what there is, not by what is missing: the others may have written already.
  std::vector<std::int64_t> mine;
  std::unordered_set<std::string> seen;
  for (std::size_t row = 0; row < keys.size(); ++row) {
    const auto turn =
        static_cast<int>(seen.size() % static_cast<std::size_t>(collective_.world_size()));
    if (!seen.insert(keys[row]).second || turn != collective_.rank()) continue;
    if (!cache_->has(keys[row])) mine.push_back(static_cast<std::int64_t>(row));
  }
  show_complaints(*cache_);
  if (mine.empty()) return 0;
  if (must_store_ && cache_->read_only()) {
    throw IoError(fmt::format("{}: the embedding cache cannot be written to, and lacks {} of {}",
                              cache_->directory().string(), mine.size(), name),
                  "mend its permissions, or choose another embeddings.directory");
  }
  const Frozen& frozen = encoder(input.pretrained_model);
  const Inputs inputs(rows, input, mine);
  data::LoaderOptions loading;
  loading.batch_size = 1;
  loading.workers = kReaders;
  loading.prefetch = 4 * kReaders;
  data::Loader loader(inputs, loading);
  Progress progress(fmt::format("embed {} {}", name, input.output), std::ssize(mine), std::cout,
                    terminal_info());
  loader.start(0);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const std::int64_t row = mine[i];
    try {
      const data::Batch batch = *loader.next();
      cache_->put(keys[static_cast<std::size_t>(row)],
                  frozen.encode(batch.at("values"), input.max_length, options_.layer));
    } catch (const DataError& error) {
      const std::string text = error.what();
      throw DataError(fmt::format("{}, row {}: {}", name, row, text.substr(0, text.find('\n'))),
                      error.remedy());
    }
    progress.update(static_cast<std::int64_t>(i) + 1);
    stop_if_asked();
  }
  progress.finish();
  cache_->flush();
  show_complaints(*cache_);
  return mine.size();
}

std::unique_ptr<data::Dataset> Embedder::embed(std::unique_ptr<data::Dataset> rows,
                                               const std::string& name) {
  const auto* source = dynamic_cast<const data::Embeddable*>(rows.get());
  if (source == nullptr) return rows;
  const std::vector<data::FrozenInput> frozen = source->frozen_inputs();
  if (frozen.empty()) return rows;
  std::vector<data::EmbeddedInput> inputs;
  for (const data::FrozenInput& input : frozen) {
    stop_if_asked();
    const double begin = steady_seconds();
    std::vector<std::string> keys = keys_of(*source, rows->size(), input);
    std::array computed = {static_cast<double>(compute_missing(*source, input, keys, name))};
    if (collective_.world_size() > 1) {
      try {
        collective_.barrier();
      } catch (const dist::PeerLost&) {
        stop_if_asked();  // as the other one did, by the same signal
        throw;
      }
      collective_.reduce(computed, dist::Reduction::kSum);
      cache_->refresh();
      for (const std::string& key : keys) cache_->has(key);
    }
    if (collective_.is_global_zero()) {
      inform("embeddings: {} {}: {} rows, {:.0f} computed, the rest from {} ({:.1f} s)", name,
             input.output, rows->size(), computed[0], cache_->directory().string(),
             steady_seconds() - begin);
    }
    inputs.push_back({input.output, std::move(keys)});
  }
  const auto lost = std::make_shared<Lost>();
  lost->cache = cache_;
  lost->layer = options_.layer;
  lost->inputs = frozen;
  lost->keys = inputs;
  for (const data::FrozenInput& input : frozen) {
    encoder(input.pretrained_model);
    lost->encoders.push_back(encoders_[input.pretrained_model]);
  }
  return std::make_unique<data::EmbeddedRows>(
      std::move(rows), cache_, std::move(inputs),
      [lost](const data::Embeddable& all, std::size_t input, std::int64_t row) {
        return lost->compute(all, input, row);
      });
}

}  // namespace polyphony::pipeline
