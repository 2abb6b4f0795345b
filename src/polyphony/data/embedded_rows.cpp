#include <polyphony/data/embedded_rows.h>

#include <stdexcept>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::data {

EmbeddedRows::EmbeddedRows(std::unique_ptr<Dataset> rows, std::shared_ptr<EmbeddingCache> cache,
                           std::vector<EmbeddedInput> inputs, Compute compute)
    : rows_(std::move(rows)),
      source_(dynamic_cast<const Embeddable*>(rows_.get())),
      cache_(std::move(cache)),
      inputs_(std::move(inputs)),
      compute_(std::move(compute)) {
  if (source_ == nullptr) throw std::invalid_argument("EmbeddedRows: rows without frozen inputs");
}

Item EmbeddedRows::get(std::int64_t index) const {
  Item item = source_->bare_row(index);
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const EmbeddedInput& input = inputs_[i];
    const std::string& key = input.keys[static_cast<std::size_t>(index)];
    std::optional<at::Tensor> embedding = cache_->find(key);
    if (!embedding && compute_) embedding = compute_(*source_, i, index);
    if (!embedding) {
      throw DataError(fmt::format("{} of row {}: its embedding is damaged or gone from {}",
                                  input.output, index, cache_->directory().string()),
                      "run again: what is missing is computed, and the rest taken as it is");
    }
    item.set(input.output, *embedding);
  }
  return item;
}

}  // namespace polyphony::data
