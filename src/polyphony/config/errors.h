#pragma once

#include <string>

#include <polyphony/base/error.h>
#include <polyphony/config/node.h>

namespace polyphony::config {

/// A configuration error with its parts apart, for programs that match on them.
class ComposeError : public ConfigError {
 public:
  /// @param original_class  the class that Hydra, OmegaConf or PyYAML raise here, e.g.
  /// "ConfigKeyError"
  /// @param fact            what is wrong; the mark, where known, is put before it
  ComposeError(std::string original_class, const std::string& fact, const std::string& remedy = {},
               std::string key = {}, const Mark& mark = {})
      : ConfigError(mark.text().empty() ? fact : mark.text() + ": " + fact, remedy),
        original_class_(std::move(original_class)),
        key_(std::move(key)),
        file_(mark.source ? *mark.source : ""),
        line_(mark.line) {}

  const std::string& original_class() const { return original_class_; }
  const std::string& key() const { return key_; }  ///< dotted key path; may be empty
  const std::string& file() const {
    return file_;
  }                                   ///< file, or "override KEY=VALUE"; may be empty
  int line() const { return line_; }  ///< from 1; 0 where unknown

 private:
  std::string original_class_;
  std::string key_;
  std::string file_;
  int line_;
};

}  // namespace polyphony::config
