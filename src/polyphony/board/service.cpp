#include <polyphony/board/service.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/board/curves_encoding.h>
#include <polyphony/board/details.h>
#include <polyphony/board/json.h>
#include <polyphony/board/run_table_view.h>

namespace polyphony::board {
namespace {

constexpr std::int64_t kMostRows = 1000;
constexpr std::int64_t kMostPoints = 100'000;
constexpr int kMostBuckets = 20'000;
constexpr std::size_t kMostLines = 5000;

TableView table_view(const Query& query, std::int64_t most) {
  TableView view;
  view.where = query.text("where");
  view.sort = query.text("sort", view.sort);
  view.columns = query.texts("column");
  view.group = query.text("group");
  for (std::string& value : query.texts("open")) view.open.insert(std::move(value));
  view.offset = query.integer("offset", 0);
  view.limit = std::clamp(query.integer("limit", 200), std::int64_t{0}, most);
  return view;
}

Window window_of(const Query& query) {
  Window window;
  window.from = query.number("from", window.from);
  window.to = query.number("to", window.to);
  window.buckets =
      static_cast<int>(std::clamp<std::int64_t>(query.integer("buckets", 1000), 1, kMostBuckets));
  return window;
}

CurveView curve_view(const Query& query) {
  CurveView view;
  view.x = query.text("x", view.x);
  if (view.x != "step" && view.x != "epoch" && view.x != "time") {
    throw UsageError(fmt::format("x=`{}`: expected step, epoch or time", view.x));
  }
  view.window = window_of(query);
  view.smoothing = query.number("smooth", 0);
  if (view.smoothing < 0 || view.smoothing >= 1) {
    throw UsageError(fmt::format("smooth={}: expected from 0 to below 1", view.smoothing));
  }
  return view;
}

}  // namespace

struct Service::Route {
  const char* name;
  std::string (Service::*answer)(const Query&);
};

const std::vector<Service::Route>& Service::routes() {
  static const std::vector<Route> kRoutes = {{"table", &Service::table},
                                             {"ids", &Service::ids},
                                             {"fields", &Service::fields},
                                             {"points", &Service::points},
                                             {"run", &Service::run},
                                             {"compare", &Service::compare},
                                             {"curves", &Service::curves},
                                             {"system", &Service::system},
                                             {"console", &Service::console},
                                             {"figures", &Service::figures},
                                             {"confusion", &Service::confusion},
                                             {"items", &Service::items}};
  return kRoutes;
}

Service::Service(const std::filesystem::path& store)
    : index_(store), store_(store, record::StoreMode::kRead), cache_(store_) {}

std::vector<std::string> Service::names() {
  std::vector<std::string> list;
  for (const Route& route : routes()) list.emplace_back(route.name);
  return list;
}

std::optional<std::string> Service::answer(const std::string& name, const Query& query) {
  for (const Route& route : routes()) {
    if (route.name == name) return (this->*route.answer)(query);
  }
  return std::nullopt;
}

std::vector<std::int64_t> Service::refresh() {
  std::vector<std::int64_t> changed, removed;
  {
    const std::scoped_lock lock(index_mutex_);
    changed = index_.refresh();
    std::copy_if(changed.begin(), changed.end(), std::back_inserter(removed),
                 [this](std::int64_t id) { return !index_.runs().contains(id); });
  }
  const std::scoped_lock lock(curves_mutex_);
  store_.refresh();
  for (const std::int64_t id : removed) cache_.forget(id);
  return changed;
}

const record::IndexedRun& Service::indexed(std::int64_t id) const {
  const auto found = index_.runs().find(id);
  if (found == index_.runs().end()) throw UsageError(fmt::format("there is no run {}", id));
  return found->second;
}

std::string Service::table(const Query& query) {
  const std::scoped_lock lock(index_mutex_);
  return dump(table_json(index_, table_view(query, kMostRows)));
}

std::string Service::ids(const Query& query) {
  const std::scoped_lock lock(index_mutex_);
  return dump(table_ids_json(index_, table_view(query, kMostPoints)));
}

std::string Service::fields(const Query& /*query*/) {
  const std::scoped_lock lock(index_mutex_);
  return dump(fields_json(index_));
}

std::string Service::points(const Query& query) {
  const std::scoped_lock lock(index_mutex_);
  return dump(points_json(index_, table_view(query, kMostPoints)));
}

std::string Service::run(const Query& query) {
  const std::scoped_lock lock(index_mutex_);
  return dump(run_details_json(index_.store(), indexed(query.integer("id"))));
}

std::string Service::compare(const Query& query) {
  const std::scoped_lock lock(index_mutex_);
  return dump(compare_json(index_, query.ids("ids")));
}

/// The runs asked for that there are, in the order asked for.
std::vector<CurveRun> Service::curve_runs(const Query& query) const {
  std::vector<CurveRun> runs;
  const std::string group = query.text("group");
  for (const std::int64_t id : query.ids("ids")) {
    const auto found = index_.runs().find(id);
    if (found == index_.runs().end()) continue;
    const record::Run& run = found->second.run;
    const auto value = group.empty() ? std::nullopt : index_.field(found->second, group);
    runs.push_back({id, run.name, value ? record::field_text(*value) : "", run.started});
  }
  return runs;
}

std::string Service::curves(const Query& query) {
  const CurveView view = curve_view(query);
  std::unique_lock index_lock(index_mutex_);
  const std::vector<CurveRun> runs = curve_runs(query);
  index_lock.unlock();
  const std::scoped_lock lock(curves_mutex_);
  const bool binary = query.text("format") == "binary";
  const std::string metric = query.text("metric");
  if (!query.text("bands").empty()) {
    const auto bands = draw_bands(cache_, metric, runs, view);
    return binary ? to_binary(bands) : to_json(bands);
  }
  const auto drawn = draw_curves(cache_, metric, runs, view);
  return binary ? to_binary(drawn) : to_json(drawn);
}

std::string Service::system(const Query& query) {
  std::unique_lock index_lock(index_mutex_);
  const record::Run run = indexed(query.integer("id")).run;
  index_lock.unlock();
  const std::scoped_lock lock(curves_mutex_);
  return system_json(cache_, store_, {run.id, run.name, "", run.started}, window_of(query));
}

std::string Service::console(const Query& query) {
  const std::scoped_lock lock(curves_mutex_);
  return dump(console_json(store_, query.integer("id"), query.integer("after", 0), kMostLines));
}

std::shared_ptr<const PredictionSet> Service::predictions(const Query& query) {
  const std::int64_t id = query.integer("id");
  const std::string name = query.text("set");
  std::unique_lock index_lock(index_mutex_);
  const record::Run run = indexed(id).run;
  const auto config = index_.store().config_values(id);
  index_lock.unlock();
  const std::scoped_lock lock(predictions_mutex_);
  const std::string key = fmt::format("{} {}", id, name);
  std::error_code error;
  const auto time = std::filesystem::last_write_time(
      run.directory / "predictions" / std::filesystem::path(name + ".csv").filename(), error);
  if (cached_.set == nullptr || cached_.key != key || cached_.time != time) {
    cached_.set = std::make_shared<const PredictionSet>(read_predictions(run, config, name));
    cached_.key = key;
    cached_.time = time;
  }
  return cached_.set;
}

std::string Service::figures(const Query& query) {
  const std::scoped_lock lock(curves_mutex_);
  return dump(figures_json(store_, query.integer("id")));
}

std::string Service::confusion(const Query& query) {
  return dump(confusion_json(*predictions(query)));
}

std::string Service::items(const Query& query) {
  ItemView view;
  view.wrong_only = query.text("all").empty();
  view.label = static_cast<int>(query.integer("label", -1));
  view.prediction = static_cast<int>(query.integer("prediction", -1));
  view.offset = query.integer("offset", 0);
  view.limit = std::clamp(query.integer("limit", 50), std::int64_t{0}, kMostRows);
  return dump(items_json(*predictions(query), view));
}

AudioFile Service::audio(const Query& query) {
  const std::int64_t row = query.integer("row");
  return audio_of(*predictions(query), static_cast<std::size_t>(std::max(row, std::int64_t{-1})));
}

}  // namespace polyphony::board
