#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <polyphony/config/yaml/node.h>
#include <polyphony/metrics/metric.h>

namespace polyphony::metrics {

using Json = nlohmann::json;

inline Json read_json(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  return Json::parse(file);
}

/// Nested lists of numbers as one list; "NaN" is NaN.
inline void flatten(const Json& value, std::vector<double>& out) {
  if (value.is_array()) {
    for (const Json& item : value) flatten(item, out);
  } else if (value.is_string()) {
    EXPECT_EQ(value, "NaN");
    out.push_back(std::numeric_limits<double>::quiet_NaN());
  } else {
    out.push_back(value.get<double>());
  }
}

inline std::vector<std::int64_t> shape_of(const Json& value) {
  std::vector<std::int64_t> shape;
  for (const Json* at = &value; at->is_array(); at = &(*at)[0]) {
    shape.push_back(static_cast<std::int64_t>(at->size()));
    if (at->empty()) break;
  }
  return shape;
}

/// Nested lists as a tensor: int64 where every number is whole in the file, else float.
inline at::Tensor tensor_of(const Json& value, at::ScalarType type) {
  std::vector<double> numbers;
  flatten(value, numbers);
  return at::tensor(numbers, at::kDouble).to(type).view(shape_of(value));
}

inline config::Node node_of(const Json& value) {
  if (value.is_boolean()) return config::Node(value.get<bool>());
  if (value.is_number_integer()) return config::Node(value.get<std::int64_t>());
  if (value.is_number()) return config::Node(value.get<double>());
  if (value.is_string()) return config::Node(value.get<std::string>());
  if (value.is_array()) {
    config::Node list = config::Node::list();
    for (const Json& item : value) list.items().push_back(node_of(item));
    return list;
  }
  config::Node node;
  if (value.is_object()) {
    node = config::Node::map();
    for (const auto& [key, item] : value.items()) node.set(key, node_of(item));
  }
  return node;
}

/// Checks numbers and shape, NaN against NaN.
inline void expect_value(const Value& value, const Json& expected, const std::string& where,
                         double tolerance = 1e-6) {
  std::vector<double> numbers;
  flatten(expected, numbers);
  ASSERT_EQ(value.data.size(), numbers.size()) << where;
  EXPECT_EQ(value.shape, shape_of(expected)) << where;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (std::isnan(numbers[i])) {
      EXPECT_TRUE(std::isnan(value.data[i])) << where << " [" << i << "]: " << value.data[i];
    } else {
      const double scale = std::max(1.0, std::abs(numbers[i]));  // they are single precision
      EXPECT_NEAR(value.data[i], numbers[i], tolerance * scale) << where << " [" << i << "]";
    }
  }
}

}  // namespace polyphony::metrics
