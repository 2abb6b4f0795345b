#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace polyphony::board {

/// The parameters of a request. Every reader throws UsageError, naming the parameter, for a text
/// that it cannot take.
class Query {
 public:
  Query(std::multimap<std::string, std::string> parameters) : parameters_(std::move(parameters)) {}

  std::string text(const std::string& name, const std::string& otherwise = {}) const;
  std::int64_t integer(const std::string& name, std::int64_t otherwise) const;
  /// Must be there.
  std::int64_t integer(const std::string& name) const;
  double number(const std::string& name, double otherwise) const;
  /// Every occurrence, in order.
  std::vector<std::string> texts(const std::string& name) const;
  /// "1,2,3", at most 10,000.
  std::vector<std::int64_t> ids(const std::string& name) const;

 private:
  std::multimap<std::string, std::string> parameters_;
};

}  // namespace polyphony::board
