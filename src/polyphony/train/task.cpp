#include <polyphony/train/task.h>

namespace polyphony::train {

const char* prefix(Stage stage) {
  static constexpr const char* kPrefixes[] = {"train_", "val_", "test_", "predict_"};
  return kPrefixes[static_cast<int>(stage)];
}

}  // namespace polyphony::train
