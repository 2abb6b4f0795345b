#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <polyphony/base/csv.h>
#include <polyphony/record/sink.h>

namespace polyphony::pipeline {

/// Labelled rows and what a model says of them.
struct Scored {
  std::string stage;                  ///< "val", "test"
  std::vector<std::string> classes;   ///< in label order
  std::vector<double> probabilities;  ///< [rows, classes], row-major
  std::vector<std::int64_t> labels;   ///< [rows], each a class
  CsvTable table;                     ///< the rows' own columns
  std::filesystem::path folder;       ///< where relative paths of the table begin
  std::string path_column;            ///< of the recording; may be no column of the table
  std::string text_column;            ///< of the transcript
};

/// A figure's data: docs/recording.md describes the JSON of each kind.
struct Figure {
  std::string kind;
  std::string name;  ///< STAGE/KIND
  std::string data;  ///< JSON
};

/// Confusion matrix, per-class table, ROC and precision-recall curves of each class against the
/// rest, calibration in 10 bins, and the misclassified rows, the surest first, 1000 at most.
std::vector<Figure> figures_of(const Scored& scored);

/// The confusion matrix as a picture, rows = truth, darker = a larger share of its row.
record::Image confusion_image(const Scored& scored);

}  // namespace polyphony::pipeline
