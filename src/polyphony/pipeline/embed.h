#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/data/embeddable.h>
#include <polyphony/data/embedding_cache.h>
#include <polyphony/dist/collective.h>
#include <polyphony/pipeline/entry.h>

namespace polyphony::pipeline {

/// The `embeddings` section of a configuration.
struct EmbeddingsOptions : data::EmbeddingCacheOptions {
  std::int64_t layer = 0;
  bool verify = false;

  void describe(config::Fields& f);
};

/// Runs frozen encoders once: what they made of a row is kept in the embedding cache, under the
/// hash of the weights in use, the preprocessing, the row's recording or text, the layer and the
/// type of numbers.
class Embedder {
 public:
  /// @param collective  borrowed; its processes share the work
  Embedder(EmbeddingsOptions options, dist::Collective& collective);
  ~Embedder();
  Embedder(const Embedder&) = delete;
  Embedder& operator=(const Embedder&) = delete;

  /// The rows with their frozen inputs taken from the cache, after those that are not there have
  /// been computed; says how many those were. Rows that have no frozen inputs come back as they
  /// are.
  /// @param name  of the split, for messages
  /// @throws DataError naming the row that cannot be embedded
  /// What the cache loses later (a damaged file) is computed when it is read.
  /// @throws Interrupted where a signal asks for a stop; what is computed is kept
  std::unique_ptr<data::Dataset> embed(std::unique_ptr<data::Dataset> rows,
                                       const std::string& name);
  /// From now on what is computed has to be kept: a cache that cannot be written to is an error.
  void must_store() { must_store_ = true; }

 private:
  struct Frozen;
  struct Lost;
  Frozen& encoder(const std::string& pretrained_model);
  std::vector<std::string> keys_of(const data::Embeddable& rows, std::int64_t size,
                                   const data::FrozenInput& input);
  /// Computes this process's share of what is missing. @return how many those were
  std::size_t compute_missing(const data::Embeddable& rows, const data::FrozenInput& input,
                              const std::vector<std::string>& keys, const std::string& name);
  void stop_if_asked();

  EmbeddingsOptions options_;
  dist::Collective& collective_;
  std::shared_ptr<data::EmbeddingCache> cache_;
  std::map<std::string, std::shared_ptr<Frozen>> encoders_;
  bool must_store_ = false;
};

/// `polyphony embed`: fills the cache with the embeddings of every split of a dataset.
void run_embed(const Request& request);

}  // namespace polyphony::pipeline
