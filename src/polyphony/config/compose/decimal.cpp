#include <polyphony/config/compose/decimal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

constexpr std::size_t kPrecision = 28;
/// Digits after the first that any double needs to be written exactly.
constexpr int kExactDigits = 800;

std::string without_leading_zeros(const std::string& digits) {
  return digits.substr(std::min(digits.find_first_not_of('0'), digits.size()));
}

/// a + b, digit strings of one length.
std::string add(const std::string& a, const std::string& b) {
  std::string out(a.size() + 1, '0');
  int carry = 0;
  for (std::size_t i = a.size(); i-- > 0;) {
    const int value = a[i] - '0' + b[i] - '0' + carry;
    out[i + 1] = static_cast<char>('0' + value % 10);
    carry = value / 10;
  }
  out[0] = static_cast<char>('0' + carry);
  return out;
}

/// a - b where a >= b, digit strings of one length.
std::string subtract(const std::string& a, const std::string& b) {
  std::string out(a.size(), '0');
  int borrow = 0;
  for (std::size_t i = a.size(); i-- > 0;) {
    int value = a[i] - b[i] - borrow;
    borrow = value < 0 ? 1 : 0;
    if (value < 0) value += 10;
    out[i] = static_cast<char>('0' + value);
  }
  return out;
}

}  // namespace

Decimal::Decimal(const Node& number) {
  std::string text;
  if (number.kind() == Node::Kind::kInt) {
    text = python_str(number);
    negative_ = text[0] == '-';
    digits_ = without_leading_zeros(text.substr(negative_ ? 1 : 0));
    return;
  }
  char buffer[kExactDigits + 16];
  std::snprintf(buffer, sizeof buffer, "%.*e", kExactDigits, number.as_float());
  text = buffer;  // "-d.ddde+xx"
  negative_ = text[0] == '-';
  const std::size_t e = text.find('e');
  exponent_ = std::atoi(text.c_str() + e + 1) - kExactDigits;
  for (const char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') digits_ += c;
  }
  digits_ = without_leading_zeros(digits_);
  while (digits_.ends_with('0')) {
    digits_.pop_back();
    ++exponent_;
  }
}

Decimal Decimal::sum(const Decimal& other) const {
  if (digits_.empty()) return other;
  if (other.digits_.empty()) return *this;
  Decimal out;
  out.exponent_ = std::min(exponent_, other.exponent_);
  std::string a = digits_ + std::string(static_cast<std::size_t>(exponent_ - out.exponent_), '0');
  std::string b =
      other.digits_ + std::string(static_cast<std::size_t>(other.exponent_ - out.exponent_), '0');
  const std::size_t width = std::max(a.size(), b.size());
  a.insert(0, width - a.size(), '0');
  b.insert(0, width - b.size(), '0');
  if (negative_ == other.negative_) {
    out.negative_ = negative_;
    out.digits_ = add(a, b);
  } else {
    const bool first = a >= b;
    out.negative_ = first ? negative_ : other.negative_;
    out.digits_ = first ? subtract(a, b) : subtract(b, a);
  }
  out.digits_ = without_leading_zeros(out.digits_);
  return out;
}

void Decimal::round() {
  if (digits_.size() <= kPrecision) return;
  const std::string rest = digits_.substr(kPrecision);
  exponent_ += static_cast<int>(rest.size());
  digits_.resize(kPrecision);
  const bool above_half =
      rest[0] > '5' || (rest[0] == '5' && rest.find_first_not_of('0', 1) != std::string::npos);
  const bool half = rest[0] == '5' && !above_half;
  const bool odd = (digits_.back() - '0') % 2 == 1;
  if (!above_half && !(half && odd)) return;
  std::string one(digits_.size(), '0');
  one.back() = '1';
  digits_ = without_leading_zeros(add(digits_, one));
  if (digits_.size() > kPrecision) {
    digits_.pop_back();
    ++exponent_;
  }
}

Decimal Decimal::operator+(const Decimal& other) const {
  Decimal out = sum(other);
  out.round();
  return out;
}

int Decimal::compare(const Decimal& other) const {
  Decimal negated = other;
  negated.negative_ = !negated.negative_;
  return sum(negated).sign();
}

double Decimal::to_double() const {
  if (digits_.empty()) return 0.0;
  const std::string text = (negative_ ? "-" : "") + digits_ + "e" + std::to_string(exponent_);
  return std::strtod(text.c_str(), nullptr);
}

}  // namespace polyphony::config
