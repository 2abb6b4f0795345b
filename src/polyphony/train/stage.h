#pragma once

#include <string>
#include <utility>
#include <vector>

#include <polyphony/tensor/named_tensors.h>

namespace polyphony::train {

enum class Stage { kTrain, kValidate, kTest, kPredict };

/// "train_", "val_", "test_", "predict_": what metric names begin with.
const char* prefix(Stage stage);

using tensor::NamedTensors;
using MetricValues = std::vector<std::pair<std::string, double>>;

/// Sets a value by name, in place if it exists.
void set_value(MetricValues& values, const std::string& name, double value);
/// The value of a name; null pointer if absent.
const double* find_value(const MetricValues& values, const std::string& name);

}  // namespace polyphony::train
