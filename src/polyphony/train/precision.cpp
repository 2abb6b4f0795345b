#include <polyphony/train/precision.h>

#include <ATen/autocast_mode.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/autocast.h>

namespace polyphony::train {

using config::Node;

bool read(const Node& node, Precision& precision) {
  const std::string text =
      node.kind() == Node::Kind::kInt ? fmt::format("{}", node.as_int()) : node.as_string();
  if (text == "32" || text == "32-true") {
    precision = Precision::k32;
  } else if (text == "bf16" || text == "bf16-mixed") {
    precision = Precision::kBf16;
  } else if (text == "16" || text == "16-mixed") {
    precision = Precision::k16;
  } else {
    return false;
  }
  return true;
}

std::string show(Precision precision) {
  static constexpr const char* kNames[] = {"32", "bf16", "16"};
  return kNames[static_cast<int>(precision)];
}

Autocast::Autocast(Precision precision) : on_(precision != Precision::k32) {
  if (!on_) return;
  tensor::enable_autocast(true);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!on_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  tensor::enable_autocast(false);
}

void check_precision(Precision precision) {
  if (precision != Precision::k16) return;
  throw ConfigError("trainer.precision: 16 needs a GPU; this one computes on the CPU",
                    "write trainer.precision=bf16 or trainer.precision=32");
}

}  // namespace polyphony::train
