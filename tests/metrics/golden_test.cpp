// Every value of the golden cases, through the classes that YAML names.
#include <cstdio>
#include <filesystem>
#include <map>
#include <sstream>

#include <ATen/ops/argmax.h>
#include <ATen/ops/softmax.h>

#include <polyphony/config/bind/registry.h>
#include <polyphony/metrics/aggregation.h>
#include <polyphony/metrics/collection.h>

#include "cases.h"

namespace polyphony::metrics {
namespace {

const std::string kReferenceLogged = "reference_logged:";

std::string golden_dir() {
  const char* given = std::getenv("POLYPHONY_GOLDEN_DIR");
  return given != nullptr ? given : std::string(POLYPHONY_TEST_DIR) + "/golden";
}

/// A folder of other cases need not hold every file; the project's own does.
bool left_out(const std::string& path) {
  return std::getenv("POLYPHONY_GOLDEN_DIR") != nullptr && !std::filesystem::exists(path);
}

/// Metrics that the cases give probabilities to; all others get the logits.
bool takes_probabilities(const std::string& key) {
  return key.find("AUROC") != std::string::npos ||
         key.find("AveragePrecision") != std::string::npos ||
         key.find("CalibrationError") != std::string::npos;
}

/// "MulticlassFBeta0.5/top2/macro" as YAML. @throws std::runtime_error on a part it does not know
config::Node node_of_key(const std::string& key, const Json& item, const std::string& release) {
  std::istringstream parts(key);
  std::string part;
  std::getline(parts, part, '/');
  Json options;
  if (const auto beta = part.find("FBeta"); beta != std::string::npos) {
    options["beta"] = std::stod(part.substr(beta + 5));
    part = part.substr(0, beta) + "FBetaScore";
  }
  const std::string name = part;
  options["_target_"] = "polyphony.metrics." + name;
  options["num_classes"] = item.at("num_classes");
  options["ignore_index"] = item.at("ignore_index");
  if (name != "MulticlassConfusionMatrix" && name != "MulticlassCohenKappa" &&
      name != "MulticlassAUROC") {
    options["torchmetrics"] = release;
  }
  while (std::getline(parts, part, '/')) {
    const auto equals = part.find('=');
    if (equals != std::string::npos) {
      options[part.substr(0, equals)] = Json::parse(part.substr(equals + 1));
    } else if (name == "MulticlassConfusionMatrix") {
      options["normalize"] = part;
    } else if (name == "MulticlassCohenKappa") {
      options["weights"] = part;
    } else if (part.starts_with("top")) {
      options["top_k"] = std::stoi(part.substr(3));
    } else if (name != "MulticlassCalibrationError") {
      options["average"] = part;
    } else if (std::isdigit(static_cast<unsigned char>(part[0])) != 0) {
      options["n_bins"] = std::stoi(part);
    } else {
      options["norm"] = part;
    }
  }
  return node_of(options);
}

/// One collection of all metrics of a case, named by their keys, so that they share their counts.
MetricCollection collection_of(const Json& item, const std::string& release, bool probabilities) {
  std::vector<NamedMetric> metrics;
  for (const auto& [key, expected] : item.at("epoch").items()) {
    if (key.starts_with(kReferenceLogged) || takes_probabilities(key) != probabilities) continue;
    metrics.emplace_back(key, config::build<Metric>(node_of_key(key, item, release), key));
  }
  return MetricCollection(std::move(metrics));
}

MetricCollection reference_logged(const Json& item, const std::string& release) {
  std::vector<NamedMetric> metrics;
  for (const auto& [key, expected] : item.at("epoch").items()) {
    if (!key.starts_with(kReferenceLogged)) continue;
    const std::string name = key.substr(kReferenceLogged.size());
    metrics.emplace_back(key, config::build<Metric>(node_of_key(name, item, release), key));
  }
  return MetricCollection(std::move(metrics), Logging::kBatchMean);
}

using Tally = std::map<std::string, int>;

std::string kind_of(const std::string& key) {
  return key.starts_with(kReferenceLogged) ? "reference_logged" : key.substr(0, key.find('/'));
}

void check_epoch(const MetricCollection& collection, const Json& item, Tally& tally) {
  for (const auto& [key, value] : collection.compute()) {
    expect_value(value, item.at("epoch").at(key), item.at("name").get<std::string>() + " " + key);
    ++tally[kind_of(key)];
  }
}

void check_case(const Json& item, const std::string& release, Tally& tally) {
  const auto name = item.at("name").get<std::string>();
  MetricCollection of_logits = collection_of(item, release, false);
  MetricCollection of_probabilities = collection_of(item, release, true);
  MetricCollection logged = reference_logged(item, release);
  for (const auto& [key, values] : item.at("per_batch").items()) {
    EXPECT_TRUE(item.at("epoch").contains(key)) << name << " " << key << " would not run";
  }
  for (std::size_t b = 0; b < item.at("labels").size(); ++b) {
    const at::Tensor logits = tensor_of(item["logits"][b], at::kFloat);
    const at::Tensor labels = tensor_of(item["labels"][b], at::kLong);
    EXPECT_TRUE(logits.argmax(1).equal(tensor_of(item["preds"][b], at::kLong))) << name;
    NamedValues values = of_logits.forward(logits, labels);
    for (auto& value : of_probabilities.forward(at::softmax(logits, 1), labels)) {
      values.push_back(std::move(value));
    }
    logged.update(logits, labels);
    for (const auto& [key, value] : values) {
      if (!item.at("per_batch").contains(key)) continue;
      expect_value(value, item["per_batch"][key][b],
                   name + " batch " + std::to_string(b) + " " + key);
      ++tally[kind_of(key) + " of a batch"];
    }
  }
  check_epoch(of_logits, item, tally);
  check_epoch(of_probabilities, item, tally);
  check_epoch(logged, item, tally);
}

void check_file(const std::string& folder, const std::string& release) {
  const std::string path = golden_dir() + "/" + folder + "/multiclass.json";
  if (left_out(path)) GTEST_SKIP() << path << " is not there";
  const Json cases = read_json(path).at("cases");
  Tally tally;
  for (const Json& item : cases) check_case(item, release, tally);
  std::printf("%s: %zu cases\n", folder.c_str(), cases.size());
  for (const auto& [kind, count] : tally) std::printf("  %5d %s\n", count, kind.c_str());
  EXPECT_FALSE(tally.empty());
}

void check_aggregation(const std::string& folder) {
  const std::string path = golden_dir() + "/" + folder + "/aggregation.json";
  if (left_out(path)) GTEST_SKIP() << path << " is not there";
  const Json cases = read_json(path);
  for (const auto& [name, item] : cases.items()) {
    Json options = {{"_target_", "polyphony.metrics." + name}};
    MetricCollection collection({{name, config::build<Metric>(node_of(options), name)}});
    for (const Json& value : item.at("values")) {
      const bool weighed = value.is_array();
      collection.update(tensor_of(weighed ? value[0] : value, at::kFloat),
                        weighed ? tensor_of(value[1], at::kFloat) : at::Tensor());
    }
    expect_value(collection.compute().at(0).second, item.at("result"), name);
  }
  std::printf("%s: %zu aggregations\n", folder.c_str(), cases.size());
  EXPECT_GT(cases.size(), 0U);
}

TEST(Golden, Torchmetrics0114) { check_file("metrics", "0.11.4"); }
TEST(Golden, Torchmetrics143) { check_file("metrics_tm143", "1.4.3"); }
TEST(Golden, AggregationsOf0114) { check_aggregation("metrics"); }
TEST(Golden, AggregationsOf143) { check_aggregation("metrics_tm143"); }

}  // namespace
}  // namespace polyphony::metrics
