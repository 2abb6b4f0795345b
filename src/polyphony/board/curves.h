#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <polyphony/board/downsample.h>
#include <polyphony/record/store.h>

namespace polyphony::board {

/// Every value of one metric of one run, by column.
struct Curve {
  std::vector<double> step, epoch, time, value;  ///< time: seconds since 1970
  std::int64_t last_row = 0;                     ///< of the table, to go on from
};

/// Curves read so far. A curve of a running run is read on from where it ended.
/// An object belongs to one thread at a time.
class CurveCache {
 public:
  /// @param most_points  kept in memory; the curves used least recently give way
  explicit CurveCache(const record::Store& store, std::size_t most_points = 4'000'000);

  /// The reference holds until the next call.
  const Curve& curve(std::int64_t run, const std::string& metric);
  const Curve& system_curve(std::int64_t run, const std::string& name);
  /// Forgets a run that was removed.
  void forget(std::int64_t run);

 private:
  struct Key {
    std::int64_t run;
    std::string table, name;
    bool operator<(const Key& other) const {
      return std::tie(run, table, name) < std::tie(other.run, other.table, other.name);
    }
  };
  struct Entry {
    Curve curve;
    std::list<Key>::iterator use;
  };
  const Curve& read(const Key& key);
  void append(const Key& key, Curve& curve) const;
  void drop(std::map<Key, Entry>::iterator entry);

  const record::Store& store_;
  std::size_t most_points_, points_ = 0;
  std::map<Key, Entry> entries_;
  std::list<Key> uses_;  ///< most recent first
};

/// How curves are shown.
struct CurveView {
  std::string x = "step";  ///< "step", "epoch", "time" (seconds since the run's start)
  Window window;
  double smoothing = 0;
};

/// A run to draw: its id, its name and when it started.
struct CurveRun {
  std::int64_t id = 0;
  std::string name, group;
  double started = 0;
};

/// A curve as it is to be drawn.
struct DrawnCurve {
  std::int64_t id = 0;
  std::string name, group;
  std::size_t points = 0;  ///< values logged
  Series shown;            ///< smoothed, where that was asked for
  Series raw;              ///< as logged, where `shown` is smoothed; else empty
};
/// Runs without the metric are left out.
std::vector<DrawnCurve> draw_curves(CurveCache& cache, const std::string& metric,
                                    const std::vector<CurveRun>& runs, const CurveView& view);

/// The runs of a group as one.
struct DrawnBand {
  std::string group;
  std::vector<std::int64_t> runs;
  Band band;
};
std::vector<DrawnBand> draw_bands(CurveCache& cache, const std::string& metric,
                                  const std::vector<CurveRun>& runs, const CurveView& view);

/// {"curves": [{"name", "x", "y"}]} of all that was measured of the machine, over seconds since the
/// run's start.
std::string system_json(CurveCache& cache, const record::Store& store, const CurveRun& run,
                        const Window& window);

}  // namespace polyphony::board
