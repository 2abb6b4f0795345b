// What TorchMetrics itself answers (data/torchmetrics_cases.py wrote it): every class, task and
// option, through the classes that YAML names.
#include <cstdio>
#include <map>

#include <polyphony/config/bind/registry.h>
#include <polyphony/metrics/collection.h>

#include "cases.h"

namespace polyphony::metrics {
namespace {

bool takes_release(const std::string& target) {
  for (const char* same : {"ConfusionMatrix", "CohenKappa", "AUROC"}) {
    if (target.ends_with(same)) return false;
  }
  return true;
}

void check_case(const Json& item, const Json& input, const std::string& release) {
  const auto target = item.at("target").get<std::string>();
  Json options = item.at("options");
  const std::string where = item.at("input").get<std::string>() + ": " + target + options.dump();
  options["_target_"] = "polyphony.metrics." + target;
  if (takes_release(target)) options["torchmetrics"] = release;
  MetricCollection collection({{target, config::build<Metric>(node_of(options), "metric")}});
  const auto type = input.at("preds_are_labels").get<bool>() ? at::kLong : at::kFloat;
  for (std::size_t b = 0; b < input.at("batches").size(); ++b) {
    const Json& batch = input["batches"][b];
    const NamedValues values =
        collection.forward(tensor_of(batch[0], type), tensor_of(batch[1], at::kLong));
    expect_value(values[0].second, item.at("per_batch")[b], where + " batch " + std::to_string(b));
  }
  expect_value(collection.compute()[0].second, item.at("epoch"), where);
}

void check_release(const std::string& release) {
  const Json file = read_json(std::string(POLYPHONY_TEST_DIR) + "/metrics/data/torchmetrics_" +
                              release + ".json");
  std::map<std::string, int> tally;
  for (const Json& item : file.at("cases")) {
    check_case(item, file.at("inputs").at(item.at("input").get<std::string>()), release);
    ++tally[item.at("target").get<std::string>()];
  }
  std::printf("TorchMetrics %s: %zu cases\n", release.c_str(), file.at("cases").size());
  for (const auto& [target, count] : tally) std::printf("  %5d %s\n", count, target.c_str());
  EXPECT_FALSE(tally.empty());
}

TEST(TorchMetricsCases, Release0114) { check_release("0.11.4"); }
TEST(TorchMetricsCases, Release143) { check_release("1.4.3"); }

}  // namespace
}  // namespace polyphony::metrics
