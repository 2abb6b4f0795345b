#include <polyphony/train/stage.h>

namespace polyphony::train {

const char* prefix(Stage stage) {
  static constexpr const char* kPrefixes[] = {"train_", "val_", "test_", "predict_"};
  return kPrefixes[static_cast<int>(stage)];
}

void set_value(MetricValues& values, const std::string& name, double value) {
  for (auto& [old_name, old_value] : values) {
    if (old_name != name) continue;
    old_value = value;
    return;
  }
  values.emplace_back(name, value);
}

const double* find_value(const MetricValues& values, const std::string& name) {
  for (const auto& [key, value] : values) {
    if (key == name) return &value;
  }
  return nullptr;
}

}  // namespace polyphony::train
