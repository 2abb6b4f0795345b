#include <polyphony/pipeline/figures.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <polyphony/base/json.h>
#include <polyphony/metrics/calibration.h>
#include <polyphony/metrics/curves.h>

namespace polyphony::pipeline {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kCurvePoints = 500;
constexpr std::size_t kCalibrationBins = 10;
constexpr std::size_t kMisclassified = 1000;

std::size_t prediction(const Scored& scored, std::size_t row) {
  const auto begin =
      scored.probabilities.begin() + static_cast<std::ptrdiff_t>(row * scored.classes.size());
  const auto end = begin + static_cast<std::ptrdiff_t>(scored.classes.size());
  return static_cast<std::size_t>(std::max_element(begin, end) - begin);
}

double probability(const Scored& scored, std::size_t row, std::size_t label) {
  return scored.probabilities[row * scored.classes.size() + label];
}

/// counts[truth][prediction]
std::vector<std::vector<std::int64_t>> confusion(const Scored& scored) {
  const std::size_t classes = scored.classes.size();
  std::vector<std::vector<std::int64_t>> counts(classes, std::vector<std::int64_t>(classes));
  for (std::size_t row = 0; row < scored.labels.size(); ++row) {
    ++counts[static_cast<std::size_t>(scored.labels[row])][prediction(scored, row)];
  }
  return counts;
}

double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

Json per_class(const Scored& scored) {
  const auto counts = confusion(scored);
  Json rows = Json::array();
  for (std::size_t c = 0; c < scored.classes.size(); ++c) {
    double predicted = 0;
    for (const auto& row : counts) predicted += static_cast<double>(row[c]);
    const double support =
        static_cast<double>(std::accumulate(counts[c].begin(), counts[c].end(), std::int64_t{0}));
    const auto right = static_cast<double>(counts[c][c]);
    rows.push_back({{"class", scored.classes[c]},
                    {"precision", share(right, predicted)},
                    {"recall", share(right, support)},
                    {"f1", share(2 * right, predicted + support)},
                    {"support", support}});
  }
  return {{"stage", scored.stage}, {"rows", rows}};
}

/// Some points of a curve, its ends among them.
std::vector<metrics::CurvePoint> thinned(const std::vector<metrics::CurvePoint>& points) {
  if (points.size() <= kCurvePoints) return points;
  std::vector<metrics::CurvePoint> some;
  for (std::size_t i = 0; i < kCurvePoints; ++i) {
    some.push_back(points[i * (points.size() - 1) / (kCurvePoints - 1)]);
  }
  return some;
}

metrics::Curve curve_of(const Scored& scored, std::size_t label) {
  std::vector<double> scores;
  std::vector<std::uint8_t> positive;
  for (std::size_t row = 0; row < scored.labels.size(); ++row) {
    scores.push_back(probability(scored, row, label));
    positive.push_back(static_cast<std::size_t>(scored.labels[row]) == label ? 1 : 0);
  }
  return metrics::exact_curve(scores, positive);
}

Json roc(const Scored& scored) {
  Json curves = Json::array();
  for (std::size_t c = 0; c < scored.classes.size(); ++c) {
    const metrics::Curve curve = curve_of(scored, c);
    Json fpr = Json::array();
    Json tpr = Json::array();
    for (const auto& point : thinned(curve.points)) {
      fpr.push_back(share(point.fp, curve.negatives));
      tpr.push_back(share(point.tp, curve.positives));
    }
    curves.push_back(
        {{"class", scored.classes[c]}, {"auc", metrics::auroc(curve)}, {"fpr", fpr}, {"tpr", tpr}});
  }
  return {{"stage", scored.stage}, {"curves", curves}};
}

Json precision_recall(const Scored& scored) {
  Json curves = Json::array();
  for (std::size_t c = 0; c < scored.classes.size(); ++c) {
    const metrics::Curve curve = curve_of(scored, c);
    Json precision = Json::array();
    Json recall = Json::array();
    for (const auto& point : thinned(curve.points)) {
      const double reached = point.tp + point.fp;
      precision.push_back(reached > 0 ? point.tp / reached : 1.0);
      recall.push_back(share(point.tp, curve.positives));
    }
    curves.push_back({{"class", scored.classes[c]},
                      {"average_precision", metrics::average_precision(curve, 0)},
                      {"precision", precision},
                      {"recall", recall}});
  }
  return {{"stage", scored.stage}, {"curves", curves}};
}

Json calibration(const Scored& scored) {
  std::vector<metrics::CalibrationBin> bins(kCalibrationBins);
  for (std::size_t row = 0; row < scored.labels.size(); ++row) {
    const std::size_t best = prediction(scored, row);
    const double confidence = probability(scored, row, best);
    const auto place = static_cast<std::size_t>(confidence * kCalibrationBins);
    metrics::CalibrationBin& bin = bins[std::min(place, kCalibrationBins - 1)];
    bin.rows += 1;
    bin.confidence += confidence;
    bin.right += best == static_cast<std::size_t>(scored.labels[row]) ? 1 : 0;
  }
  Json list = Json::array();
  for (std::size_t i = 0; i < bins.size(); ++i) {
    list.push_back({{"lower", static_cast<double>(i) / kCalibrationBins},
                    {"upper", static_cast<double>(i + 1) / kCalibrationBins},
                    {"count", bins[i].rows},
                    {"confidence", share(bins[i].confidence, bins[i].rows)},
                    {"accuracy", share(bins[i].right, bins[i].rows)}});
  }
  return {{"stage", scored.stage},
          {"bins", list},
          {"ece", metrics::calibration_error(bins, metrics::CalibrationNorm::kL1)},
          {"mce", metrics::calibration_error(bins, metrics::CalibrationNorm::kMax)}};
}

Json misclassified(const Scored& scored) {
  std::vector<std::size_t> wrong;
  for (std::size_t row = 0; row < scored.labels.size(); ++row) {
    if (prediction(scored, row) != static_cast<std::size_t>(scored.labels[row])) {
      wrong.push_back(row);
    }
  }
  const auto confidence = [&](std::size_t row) {
    return probability(scored, row, prediction(scored, row));
  };
  std::stable_sort(wrong.begin(), wrong.end(),
                   [&](std::size_t a, std::size_t b) { return confidence(a) > confidence(b); });
  const std::size_t total = wrong.size();
  wrong.resize(std::min(total, kMisclassified));
  Json rows = Json::array();
  for (const std::size_t row : wrong) {
    Json columns = Json::object();
    Json item = {{"row", row}};
    for (std::size_t c = 0; c < scored.table.header.size(); ++c) {
      const std::string& name = scored.table.header[c];
      const std::string& cell = scored.table.rows[row][c];
      columns[name] = cell;
      if (name == scored.path_column && !cell.empty()) {
        item["audio"] = std::filesystem::absolute(scored.folder / cell).lexically_normal().string();
      }
      if (name == scored.text_column) item["text"] = cell;
    }
    item["target"] = scored.classes[static_cast<std::size_t>(scored.labels[row])];
    item["prediction"] = scored.classes[prediction(scored, row)];
    item["confidence"] = confidence(row);
    Json scores = Json::array();
    for (std::size_t c = 0; c < scored.classes.size(); ++c) {
      scores.push_back(probability(scored, row, c));
    }
    item["probabilities"] = scores;
    item["columns"] = columns;
    rows.push_back(item);
  }
  return {{"stage", scored.stage}, {"classes", scored.classes}, {"total", total}, {"rows", rows}};
}

}  // namespace

std::vector<Figure> figures_of(const Scored& scored) {
  std::vector<Figure> figures;
  const auto add = [&](const char* kind, const Json& json) {
    figures.push_back({kind, scored.stage + "/" + kind,
                       json.dump(-1, ' ', false, Json::error_handler_t::replace)});
  };
  add("confusion_matrix",
      {{"stage", scored.stage}, {"classes", scored.classes}, {"counts", confusion(scored)}});
  add("per_class", per_class(scored));
  add("roc", roc(scored));
  add("pr", precision_recall(scored));
  add("calibration", calibration(scored));
  add("misclassified", misclassified(scored));
  return figures;
}

record::Image confusion_image(const Scored& scored) {
  constexpr int kCell = 32;  // pixels
  const auto counts = confusion(scored);
  const int classes = static_cast<int>(scored.classes.size());
  record::Image image{classes * kCell, classes * kCell, {}};
  for (int y = 0; y < image.height; ++y) {
    const auto& row = counts[static_cast<std::size_t>(y / kCell)];
    const double all =
        static_cast<double>(std::accumulate(row.begin(), row.end(), std::int64_t{0}));
    for (int x = 0; x < image.width; ++x) {
      const double part = share(static_cast<double>(row[static_cast<std::size_t>(x / kCell)]), all);
      // From white to a dark blue.
      for (const double dark : {8.0, 48.0, 107.0}) {
        image.pixels.push_back(static_cast<std::uint8_t>(std::lround(255 - part * (255 - dark))));
      }
    }
  }
  return image;
}

}  // namespace polyphony::pipeline
