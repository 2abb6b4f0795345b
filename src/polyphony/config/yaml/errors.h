#pragma once

#include <string>
#include <string_view>

#include <polyphony/base/error.h>
#include <polyphony/config/yaml/node.h>

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
        fact_(fact),
        key_(std::move(key)),
        mark_(mark) {}

  const std::string& original_class() const { return original_class_; }
  const std::string& fact() const { return fact_; }  ///< without place and remedy
  const std::string& key() const { return key_; }    ///< dotted key path; may be empty
  /// File, or "override KEY=VALUE"; may be empty.
  std::string file() const { return mark_.source ? *mark_.source : ""; }
  int line() const { return mark_.line; }  ///< from 1; 0 where unknown
  const Mark& mark() const { return mark_; }

  /// The class that Hydra raised this one from ("ValidationError"); empty for none.
  const std::string& cause() const { return cause_; }
  /// The same error under another class, with this one's as its cause.
  ComposeError as(std::string outer_class) const {
    ComposeError error(std::move(outer_class), fact_, remedy(), key_, mark_);
    error.cause_ = cause_.empty() ? original_class_ : cause_;
    return error;
  }
  /// The same error, with a place where it has none.
  ComposeError at(const Mark& mark) const {
    if (mark_.source) return *this;
    ComposeError error(original_class_, fact_, remedy(), key_, mark);
    error.cause_ = cause_;
    return error;
  }
  /// One of OmegaConf's own classes: Hydra reports those as ConfigCompositionException.
  bool is_omegaconf() const {
    for (const std::string_view name :
         {"ValidationError", "UnsupportedValueType", "KeyValidationError",
          "UnsupportedInterpolationType", "InterpolationKeyError", "InterpolationResolutionError",
          "InterpolationToMissingValueError", "InterpolationValidationError", "ConfigIndexError",
          "ConfigTypeError", "ConfigKeyError", "ConfigAttributeError", "ConfigValueError",
          "MissingMandatoryValue", "GrammarParseError"}) {
      if (original_class_ == name) return true;
    }
    return false;
  }

 private:
  std::string original_class_;
  std::string fact_;
  std::string key_;
  Mark mark_;
  std::string cause_;
};

}  // namespace polyphony::config
