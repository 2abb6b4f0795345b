#pragma once

#include <polyphony/train/limit.h>

namespace polyphony::train {

/// While it lives, operators compute in the lower precision where it is safe (torch.autocast).
class Autocast {
 public:
  explicit Autocast(Precision precision);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool on_;
};

/// @throws ConfigError where the device has no such precision
void check_precision(Precision precision);

}  // namespace polyphony::train
