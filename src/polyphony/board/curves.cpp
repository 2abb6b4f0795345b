#include <polyphony/board/curves.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include <polyphony/board/json.h>
#include <polyphony/record/store_database.h>

namespace polyphony::board {
namespace {

constexpr const char* kMetrics = "metrics";
constexpr const char* kSystem = "system_metrics";

/// The curve over the x asked for, in its order: a resumed run may have gone back.
Series series_of(const Curve& curve, const CurveRun& run, const std::string& x) {
  Series series;
  series.x = x == "epoch" ? curve.epoch : x == "time" ? curve.time : curve.step;
  series.y = curve.value;
  if (x == "time") {
    for (double& seconds : series.x) seconds -= run.started;
  }
  if (std::is_sorted(series.x.begin(), series.x.end())) return series;
  std::vector<std::size_t> order(series.x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&series](std::size_t a, std::size_t b) { return series.x[a] < series.x[b]; });
  Series sorted;
  for (const std::size_t i : order) {
    sorted.x.push_back(series.x[i]);
    sorted.y.push_back(series.y[i]);
  }
  return sorted;
}

void append_series(std::string& out, const Series& series) {
  out += "\"x\":";
  append_array(out, series.x);
  out += ",\"y\":";
  append_array(out, series.y);
}

}  // namespace

CurveCache::CurveCache(const record::Store& store, std::size_t most_points)
    : store_(store), most_points_(most_points) {}

void CurveCache::append(const Key& key, Curve& curve) const {
  const auto& db = store_.database();
  const bool system = key.table == kSystem;
  record::Statement select(
      db.handle, db.path,
      fmt::format("SELECT rowid, {}, wall_time, value FROM {} WHERE run_id = ? AND name = ? AND "
                  "rowid > ? ORDER BY rowid",
                  system ? "0, 0" : "step, epoch", key.table));
  select.bind(key.run).bind(key.name).bind(curve.last_row);
  while (select.step()) {
    curve.last_row = select.integer(0);
    curve.step.push_back(static_cast<double>(select.integer(1)));
    curve.epoch.push_back(static_cast<double>(select.integer(2)));
    curve.time.push_back(select.real(3));
    curve.value.push_back(select.real_or_nan(4));
  }
}

void CurveCache::drop(std::map<Key, Entry>::iterator entry) {
  points_ -= entry->second.curve.value.size();
  uses_.erase(entry->second.use);
  entries_.erase(entry);
}

const Curve& CurveCache::read(const Key& key) {
  auto [entry, added] = entries_.try_emplace(key);
  if (added) {
    uses_.push_front(key);
    entry->second.use = uses_.begin();
  } else {
    uses_.splice(uses_.begin(), uses_, entry->second.use);
  }
  Curve& curve = entry->second.curve;
  const std::size_t before = curve.value.size();
  append(key, curve);
  points_ += curve.value.size() - before;
  while (points_ > most_points_ && uses_.size() > 1) drop(entries_.find(uses_.back()));
  return curve;
}

const Curve& CurveCache::curve(std::int64_t run, const std::string& metric) {
  return read({run, kMetrics, metric});
}

const Curve& CurveCache::system_curve(std::int64_t run, const std::string& name) {
  return read({run, kSystem, name});
}

void CurveCache::forget(std::int64_t run) {
  for (auto entry = entries_.lower_bound({run, {}, {}});
       entry != entries_.end() && entry->first.run == run;) {
    drop(entry++);
  }
}

std::vector<DrawnCurve> draw_curves(CurveCache& cache, const std::string& metric,
                                    const std::vector<CurveRun>& runs, const CurveView& view) {
  std::vector<DrawnCurve> drawn;
  for (const CurveRun& run : runs) {
    const Curve& curve = cache.curve(run.id, metric);
    if (curve.value.empty()) continue;
    Series series = series_of(curve, run, view.x);
    DrawnCurve one{run.id, run.name, run.group, curve.value.size(), downsample(series, view.window),
                   {}};
    if (view.smoothing > 0) {
      series.y = smoothed(series.y, view.smoothing);
      one.raw = std::exchange(one.shown, downsample(series, view.window));
    }
    drawn.push_back(std::move(one));
  }
  return drawn;
}

std::vector<DrawnBand> draw_bands(CurveCache& cache, const std::string& metric,
                                  const std::vector<CurveRun>& runs, const CurveView& view) {
  struct Members {
    std::vector<std::int64_t> ids;
    std::vector<Series> series;
  };
  std::map<std::string, Members> groups;
  for (const CurveRun& run : runs) {
    const Curve& curve = cache.curve(run.id, metric);
    if (curve.value.empty()) continue;
    Series series = series_of(curve, run, view.x);
    if (view.smoothing > 0) series.y = smoothed(series.y, view.smoothing);
    groups[run.group].ids.push_back(run.id);
    groups[run.group].series.push_back(std::move(series));
  }
  std::vector<DrawnBand> drawn;
  for (const auto& [group, members] : groups) {
    drawn.push_back({group, members.ids, band_of(members.series, view.window)});
  }
  return drawn;
}

std::string system_json(CurveCache& cache, const record::Store& store, const CurveRun& run,
                        const Window& window) {
  const auto& db = store.database();
  record::Statement select(
      db.handle, db.path,
      "SELECT DISTINCT name FROM system_metrics WHERE run_id = ? ORDER BY name");
  select.bind(run.id);
  std::string out = "{\"curves\":[";
  while (select.step()) {
    const std::string name = select.text(0);
    const Series series = series_of(cache.system_curve(run.id, name), run, "time");
    if (out.back() == '}') out += ',';
    out += "{\"name\":" + dump(Json(name)) + ",";
    append_series(out, downsample(series, window));
    out += '}';
  }
  return out + "]}";
}

}  // namespace polyphony::board
