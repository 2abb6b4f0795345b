#include <polyphony/board/details.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <polyphony/base/error.h>
#include <polyphony/record/run_table.h>

namespace polyphony::board {
namespace {

Json pairs_json(const record::Pairs& pairs) {
  Json json = Json::object();
  for (const auto& [name, value] : pairs) json[name] = value;
  return json;
}

Json rows_json(const std::vector<record::Comparison::Row>& rows) {
  Json json = Json::array();
  for (const auto& [name, cells] : rows) json.push_back({{"name", name}, {"cells", cells}});
  return json;
}

Json artifacts_json(const std::vector<record::Artifact>& artifacts) {
  Json json = Json::array();
  for (const record::Artifact& artifact : artifacts) {
    json.push_back({{"kind", artifact.kind},
                    {"name", artifact.name},
                    {"path", artifact.path.string()},
                    {"sha256", artifact.sha256},
                    {"bytes", artifact.bytes}});
  }
  return json;
}

std::string class_name(const PredictionSet& set, int number) {
  const auto place = static_cast<std::size_t>(number);
  return number >= 0 && place < set.classes.size() ? set.classes[place] : "";
}

}  // namespace

Json run_details_json(const record::Store& store, const record::IndexedRun& entry) {
  const std::int64_t id = entry.run.id;
  const record::Run run = store.find(id).value_or(entry.run);
  Json json = record::run_json(entry);
  json["config_yaml"] = run.config_yaml;
  json["summaries"] = Json::array();
  for (const record::MetricSummary& metric : store.summaries(id)) {
    json["summaries"].push_back({{"name", metric.last.name},
                                 {"last", number_json(metric.last.value)},
                                 {"min", number_json(metric.min)},
                                 {"max", number_json(metric.max)},
                                 {"step", metric.last.step},
                                 {"epoch", metric.last.epoch},
                                 {"count", metric.count}});
  }
  json["group"] = run.group;
  json["verb"] = run.verb;
  json["notes"] = run.notes;
  json["source"] = run.source;
  json["exit_reason"] = run.exit_reason;
  json["hyper_parameters"] = pairs_json(run.hyper_parameters);
  json["system"] = pairs_json(run.system);
  json["environment"] = pairs_json(run.environment);
  json["model_summary"] = run.model_summary;
  json["git_diff"] = run.git_diff;
  json["git_remote"] = run.git_remote;
  json["artifacts"] = artifacts_json(store.artifacts(id));
  json["alerts"] = Json::array();
  for (const record::Alert& alert : store.alerts(id)) {
    json["alerts"].push_back(
        {{"title", alert.title}, {"text", alert.text}, {"level", alert.level}});
  }
  json["prediction_sets"] = prediction_sets(run);
  return json;
}

Json compare_json(const record::RunIndex& index, const std::vector<std::int64_t>& ids) {
  record::RunList runs;
  Json heads = Json::array();
  for (const std::int64_t id : ids) {
    const auto found = index.runs().find(id);
    if (found == index.runs().end()) continue;
    runs.push_back(&found->second);
    heads.push_back({{"id", id}, {"name", found->second.run.name}});
  }
  const record::Comparison comparison = record::compare_runs(index, runs, record::Digits::kShort);
  return {{"runs", std::move(heads)},
          {"config", rows_json(comparison.config)},
          {"metrics", rows_json(comparison.metrics)}};
}

Json console_json(const record::Store& store, std::int64_t run, std::int64_t after,
                  std::size_t limit) {
  const std::vector<record::ConsoleLine> lines = store.console(run, after);
  const std::size_t begin = lines.size() > limit ? lines.size() - limit : 0;
  Json json = Json::array();
  for (std::size_t i = begin; i < lines.size(); ++i) {
    json.push_back({{"id", lines[i].id}, {"time", lines[i].wall_time}, {"text", lines[i].text}});
  }
  return {{"lines", std::move(json)}};
}

Json figures_json(const record::Store& store, std::int64_t run) {
  constexpr std::array<const char*, 4> kKinds = {"confusion_matrix", "roc", "pr", "calibration"};
  Json figures = Json::array();
  for (const char* kind : kKinds) {
    for (const record::Artifact& artifact : store.artifacts(run, kind)) {
      Json data = parse_ordered_json(artifact.data, /*allow_exceptions=*/false);
      if (!data.is_object()) continue;
      figures.push_back({{"kind", kind}, {"name", artifact.name}, {"data", std::move(data)}});
    }
  }
  return {{"figures", std::move(figures)}};
}

Json confusion_json(const PredictionSet& set) {
  const auto counts = set.confusion();
  const auto scores = class_scores(counts);
  std::int64_t rows = 0, right = 0;
  double f1 = 0;
  Json table = Json::array();
  for (std::size_t c = 0; c < scores.size(); ++c) {
    rows += scores[c].support;
    right += counts[c][c];
    f1 += scores[c].f1;
    table.push_back({{"class", set.classes[c]},
                     {"precision", scores[c].precision},
                     {"recall", scores[c].recall},
                     {"f1", scores[c].f1},
                     {"support", scores[c].support}});
  }
  const auto share = [](double part, auto whole) {
    return whole == 0 ? 0 : part / static_cast<double>(whole);
  };
  return {{"classes", set.classes},
          {"counts", counts},
          {"scores", std::move(table)},
          {"accuracy", share(static_cast<double>(right), rows)},
          {"macro_f1", share(f1, scores.size())},
          {"rows", rows}};
}

Json items_json(const PredictionSet& set, const ItemView& view) {
  std::vector<const PredictedItem*> chosen;
  for (const PredictedItem& item : set.items) {
    if (view.wrong_only && (item.label < 0 || item.label == item.prediction)) continue;
    if (view.label >= 0 && item.label != view.label) continue;
    if (view.prediction >= 0 && item.prediction != view.prediction) continue;
    chosen.push_back(&item);
  }
  std::stable_sort(chosen.begin(), chosen.end(), [](const auto* a, const auto* b) {
    const auto rank = [](double p) { return std::isnan(p) ? -1 : p; };
    return rank(a->confidence) > rank(b->confidence);
  });
  const auto size = static_cast<std::int64_t>(chosen.size());
  const std::int64_t begin = std::clamp(view.offset, std::int64_t{0}, size);
  Json items = Json::array();
  for (std::int64_t i = begin; i < std::min(size, begin + view.limit); ++i) {
    const PredictedItem& item = *chosen[static_cast<std::size_t>(i)];
    items.push_back({{"row", item.row},
                     {"text", item.text},
                     {"label", class_name(set, item.label)},
                     {"prediction", class_name(set, item.prediction)},
                     {"confidence", number_json(item.confidence)},
                     {"audio", item.audio}});
  }
  return {{"matching", size}, {"items", std::move(items)}};
}

}  // namespace polyphony::board
