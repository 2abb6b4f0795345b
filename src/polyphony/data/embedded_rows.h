#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <polyphony/data/embeddable.h>
#include <polyphony/data/embedding_cache.h>

namespace polyphony::data {

/// Keys in the cache of one frozen input, a row.
struct EmbeddedInput {
  std::string output;  ///< name in the batch
  std::vector<std::string> keys;
};

/// A dataset whose frozen inputs are read from the embedding cache: "audio_hidden", float
/// [positions, dims], in the place of "input_values".
class EmbeddedRows : public Dataset {
 public:
  /// Computes an embedding that the cache has lost: of the given one of the inputs, and row. It is
  /// called from several threads.
  using Compute = std::function<at::Tensor(const Embeddable&, std::size_t input, std::int64_t row)>;

  /// @param rows  an Embeddable; @param inputs  their embeddings are in the cache
  /// @param compute  null: what is lost is an error
  /// @throws std::invalid_argument where the rows are not Embeddable
  EmbeddedRows(std::unique_ptr<Dataset> rows, std::shared_ptr<EmbeddingCache> cache,
               std::vector<EmbeddedInput> inputs, Compute compute = nullptr);

  std::int64_t size() const override { return rows_->size(); }
  /// @throws DataError where an embedding is damaged, or gone, and cannot be computed
  Item get(std::int64_t index) const override;
  const std::vector<std::string>& classes() const override { return rows_->classes(); }
  std::vector<std::int64_t> class_counts() const override { return rows_->class_counts(); }
  bool multi_label() const override { return rows_->multi_label(); }
  std::int64_t unlabelled() const override { return rows_->unlabelled(); }
  std::vector<std::int64_t> lengths() const override { return rows_->lengths(); }
  const CsvTable& table() const override { return rows_->table(); }

 private:
  std::unique_ptr<Dataset> rows_;
  const Embeddable* source_;
  std::shared_ptr<EmbeddingCache> cache_;
  std::vector<EmbeddedInput> inputs_;
  Compute compute_;
};

}  // namespace polyphony::data
