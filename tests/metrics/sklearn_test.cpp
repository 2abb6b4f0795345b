// scikit-learn's answers (data/sklearn_cases.py wrote them): an opinion that is not TorchMetrics'.
#include <cstdio>
#include <sstream>

#include <ATen/ops/select.h>

#include <polyphony/config/bind/registry.h>
#include <polyphony/metrics/collection.h>

#include "cases.h"

namespace polyphony::metrics {
namespace {

TEST(SklearnCases, AllAgree) {
  const Json file = read_json(std::string(POLYPHONY_TEST_DIR) + "/metrics/data/sklearn.json");
  const at::Tensor scores = tensor_of(file.at("scores"), at::kDouble);
  const at::Tensor target = tensor_of(file.at("target"), at::kLong);
  for (const auto& [key, expected] : file.at("values").items()) {
    std::istringstream parts(key);
    std::string name;
    std::string option;
    std::string value;
    std::getline(parts, name, '/');
    Json options = {{"_target_", "polyphony.metrics." + name}};
    const bool binary = name.starts_with("Binary");
    if (!binary) options["num_classes"] = scores.size(1);
    if (name == "MulticlassFBetaScore") options["beta"] = 0.5;
    while (std::getline(parts, option, '/') && std::getline(parts, value, '/')) {
      options[option] = Json::accept(value) ? Json::parse(value) : Json(value);
    }
    if (options.contains("top_k")) options["average"] = "micro";
    MetricCollection collection({{name, config::build<Metric>(node_of(options), "metric")}});
    collection.update(binary ? scores.select(1, 1) : scores, binary ? target.eq(1) : target);
    expect_value(collection.compute()[0].second, expected, key, 1e-12);
  }
  std::printf("scikit-learn: %zu values\n", file.at("values").size());
}

}  // namespace
}  // namespace polyphony::metrics
