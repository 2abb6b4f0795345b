#pragma once

#include <string>

#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// A decimal number as Python's `decimal` keeps it: made exactly, added to 28 significant digits.
class Decimal {
 public:
  /// @param number  a finite int or float, taken exactly
  explicit Decimal(const Node& number);

  Decimal operator+(const Decimal& other) const;
  /// -1, 0 or 1, exactly.
  int compare(const Decimal& other) const;
  int sign() const { return digits_.empty() ? 0 : negative_ ? -1 : 1; }
  double to_double() const;

 private:
  Decimal() = default;
  Decimal sum(const Decimal& other) const;
  void round();

  bool negative_ = false;
  std::string digits_;  // most significant first, no leading zeros; empty is zero
  int exponent_ = 0;    // of the last digit
};

}  // namespace polyphony::config
