#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/yaml/node.h>
#include <polyphony/record/run.h>

namespace polyphony::record {

/// Values logged together.
struct Row {
  std::int64_t step = 0;   ///< optimizer steps done before
  std::int64_t epoch = 0;  ///< epochs done before
  double time = 0;         ///< seconds since 1970, UTC
  std::vector<std::pair<std::string, double>> values;
};

/// How many of some values fall between which edges.
struct Histogram {
  double min = 0;
  double max = 0;
  double count = 0;
  double sum = 0;
  double sum_squares = 0;
  std::vector<double> limits;  ///< upper edge of each bin, rising
  std::vector<double> counts;  ///< as many
};

/// Red, green and blue, 8 bits each, rows from the top.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> pixels;  ///< 3 * width * height
};

/// Where a run's record goes: one format, its files. The recorder calls it from one thread. What
/// throws is called again later, in its order: it has then left no half of itself in the files, or
/// doing it twice is doing it once. What a format has no place for, it leaves out.
class Sink {
 public:
  virtual ~Sink() = default;
  /// For messages, e.g. "TensorBoardLogger".
  virtual std::string name() const = 0;

  virtual void log(const Row&) {}
  virtual void log_hyper_parameters(const config::Node&) {}
  virtual void log_model_summary(const std::string&) {}
  virtual void log_system(std::span<const SystemMetric>) {}
  virtual void log_console(std::span<const ConsoleLine>) {}
  virtual void log_alert(const Alert&) {}
  virtual void log_artifact(const Artifact&) {}
  virtual void log_histogram(const std::string& /*tag*/, const Histogram&, std::int64_t /*step*/) {}
  virtual void log_text(const std::string& /*tag*/, const std::string& /*markdown*/,
                        std::int64_t /*step*/) {}
  virtual void log_image(const std::string& /*tag*/, const Image&, std::int64_t /*step*/) {}

  /// Hands everything to the system: it outlives a killed process. Called several times a second.
  virtual void flush() {}
  /// The end; flushes. Called once more where it throws. @param error  "" where there is none
  virtual void finish(State, const std::string& /*error*/) {}
};

}  // namespace polyphony::record
