#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/base/csv.h>
#include <polyphony/record/store.h>

namespace polyphony::board {

/// One row that a run has predicted.
struct PredictedItem {
  std::size_t row = 0;  ///< of the set, from 0
  std::string text, audio;
  int label = -1;         ///< class; -1 where the row has none
  int prediction = -1;    ///< class
  double confidence = 0;  ///< probability of the prediction; NaN where there are no logits
};

/// What a run has predicted of one set of rows: predictions/NAME.csv and NAME.npy.
struct PredictionSet {
  std::string name;
  std::vector<std::string> classes;
  std::vector<PredictedItem> items;
  std::string path_column;         ///< of the manifest
  std::filesystem::path manifest;  ///< whose files the items' audio are; "" where not known

  /// counts[label][prediction] of the rows that have a label.
  std::vector<std::vector<std::int64_t>> confusion() const;
};

/// Names of the sets that a run has predicted.
std::vector<std::string> prediction_sets(const record::Run& run);

/// @param config  the run's configuration: its dataset's columns, classes and manifest
/// @throws UsageError where the run has no such set; DataError, IoError where it cannot be read
PredictionSet read_predictions(const record::Run& run,
                               const std::vector<record::ConfigValue>& config,
                               const std::string& name);

struct ClassScores {
  double precision = 0, recall = 0, f1 = 0;  ///< 0 where nothing could be counted, as sklearn
  std::int64_t support = 0;
};
std::vector<ClassScores> class_scores(const std::vector<std::vector<std::int64_t>>& confusion);

/// A recording that may be played.
struct AudioFile {
  std::filesystem::path path;
  std::string type;  ///< "audio/wav"
};
/// The recording of an item, only where the manifest names it and it is one by its first bytes.
/// @throws UsageError for a row that is not there; DataError for one whose audio must not be served
AudioFile audio_of(const PredictionSet& set, std::size_t row);

}  // namespace polyphony::board
