#include <polyphony/pipeline/row_labels.h>

#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>

namespace polyphony::pipeline {

void RowLabels::on_predict_start(train::Trainer&) {
  labels_.clear();
  rows_.clear();
}

void RowLabels::on_predict_batch_end(train::Trainer&, const data::Batch& batch, std::int64_t) {
  const at::Tensor& index = batch.at("index");
  const bool single = batch.has("label") && batch.at("label").dim() == 1;
  const at::Tensor label = single ? batch.at("label") : at::full_like(index, -1);
  labels_.push_back(label.to(at::kFloat).reshape({-1, 1}));
  rows_.push_back(index);
}

std::vector<std::int64_t> RowLabels::gather(dist::Collective& collective) const {
  const at::Tensor all = labels_.empty() ? collective.gather_rows({}, {})
                                         : collective.gather_rows(at::cat(labels_), at::cat(rows_));
  if (!all.defined()) return {};
  const at::Tensor whole = all.reshape({-1}).to(at::kLong).contiguous();
  const auto* begin = whole.data_ptr<std::int64_t>();
  return {begin, begin + whole.numel()};
}

}  // namespace polyphony::pipeline
