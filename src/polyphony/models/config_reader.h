#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <polyphony/nn/layers.h>

namespace polyphony::models {

/// Reads keys of a Hugging Face config.json, each checked where it is read. A key that is absent
/// leaves the default. Every error is a DataError that names file and key, and what to do.
class ConfigReader {
 public:
  /// @param json  an object, which outlives this
  ConfigReader(const nlohmann::json& json, std::string source);

  /// null means false, as in Python.
  void flag(const char* key, bool& value) const;
  void text(const char* key, std::string& value) const;
  void number(const char* key, double& value, double least = 0) const;
  void count(const char* key, std::int64_t& value, std::int64_t least = 1) const;
  void counts(const char* key, std::vector<std::int64_t>& values) const;
  void share(const char* key, double& value) const;
  /// null leaves `value` as it is, as Transformers has it for a few keys.
  void share_or_null(const char* key, double& value) const;
  /// One of Transformers' names of activations (ACT2FN of 4.27.1).
  void activation(const char* key, nn::Activation& value) const;
  /// The value, or null pointer if it is absent or null.
  const nlohmann::json* find(const char* key) const;

  /// Refuses what is not built: anything but false, null, 0, "" and empty containers.
  void refuse(const char* key, const std::string& remedy) const;
  void check(const char* key, bool holds, const std::string& what) const;
  [[noreturn]] void fail(const char* key, const std::string& what,
                         const std::string& remedy = kOther) const;

  /// The keys that were asked for.
  const std::set<std::string>& asked() const { return asked_; }

 private:
  static constexpr const char* kOther =
      "take the config.json that belongs to the weights, or another model";
  const nlohmann::json* value(const char* key) const;
  [[noreturn]] void wrong_type(const char* key, const char* wanted) const;

  const nlohmann::json& json_;
  std::string source_;
  mutable std::set<std::string> asked_;
};

}  // namespace polyphony::models
