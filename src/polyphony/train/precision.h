#pragma once

#include <string>

#include <polyphony/config/bind/fields.h>

namespace polyphony::train {

/// 32, bf16 or 16, as number or text, or Lightning 2's names.
enum class Precision { k32, kBf16, k16 };
bool read(const config::Node& node, Precision& precision);
std::string show(Precision precision);
inline const char* type_name(const Precision&) { return "32|bf16|16"; }

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

/// @throws ConfigError if the device has no such precision
void check_precision(Precision precision);

}  // namespace polyphony::train
