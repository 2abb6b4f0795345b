#pragma once

#include <cstdint>
#include <vector>

#include <polyphony/board/json.h>
#include <polyphony/board/predictions.h>
#include <polyphony/record/run_index.h>

namespace polyphony::board {

/// All that is known of one run: what run_json() of record gives, and its configuration, summaries,
/// hyper-parameters, machine, environment, model, changes against the commit, artifacts, alerts and
/// prediction sets.
Json run_details_json(const record::Store& store, const record::IndexedRun& run);

/// {"runs": [{"id", "name"}], "config": [{"name", "cells"}], "metrics": [...]}: configuration keys
/// that differ, and the last value of every metric.
Json compare_json(const record::RunIndex& index, const std::vector<std::int64_t>& ids);

/// {"lines": [{"id", "time", "text"}]}: console lines after an id; of very long ones the last
/// `limit`.
Json console_json(const record::Store& store, std::int64_t run, std::int64_t after,
                  std::size_t limit);

/// {"figures": [{"kind", "name", "data"}]}: what the run itself drew of its evaluations (kinds and
/// data: docs/recording.md), without the misclassified rows.
Json figures_json(const record::Store& store, std::int64_t run);

/// {"classes", "counts": [[...]], "scores": [{"class", "precision", "recall", "f1", "support"}],
/// "accuracy", "macro_f1", "rows"}
Json confusion_json(const PredictionSet& set);

/// Which items of a prediction set to show.
struct ItemView {
  bool wrong_only = true;
  int label = -1, prediction = -1;  ///< of this class only; -1: any
  std::int64_t offset = 0, limit = 50;
};
/// {"matching", "items": [{"row", "text", "label", "prediction", "confidence", "audio"}]}: the
/// surest first, for a sure mistake tells most.
Json items_json(const PredictionSet& set, const ItemView& view);

}  // namespace polyphony::board
