#include <polyphony/train/limit.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace polyphony::train {

using config::Node;

std::int64_t Limit::of(std::int64_t all) const {
  if (share) return static_cast<std::int64_t>(static_cast<double>(all) * value);
  return std::min(all, static_cast<std::int64_t>(value));
}

bool read(const Node& node, Limit& limit) {
  if (node.kind() == Node::Kind::kInt) {
    limit = Limit::batches(node.as_int());
    return node.as_int() >= 0;
  }
  if (node.kind() != Node::Kind::kFloat) return false;
  limit = Limit::fraction(node.as_float());
  return limit.value >= 0 && limit.value <= 1;
}

std::string show(const Limit& limit) {
  return limit.share ? fmt::format("{:.2g}{}", limit.value,
                                   limit.value == std::floor(limit.value) ? ".0" : "")
                     : fmt::format("{}", static_cast<std::int64_t>(limit.value));
}

bool read(const Node& node, FlagOrCount& value) {
  if (node.kind() == Node::Kind::kBool) {
    value.count = node.as_bool() ? 1 : 0;
    return true;
  }
  if (node.kind() != Node::Kind::kInt || node.as_int() < 0) return false;
  value.count = node.as_int();
  return true;
}

std::string show(const FlagOrCount& value) {
  return value.count == 0 ? "false" : fmt::format("{}", value.count);
}

}  // namespace polyphony::train
