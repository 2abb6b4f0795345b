#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/bind/fields.h>

namespace polyphony::pipeline {

/// A configuration's leaves: dotted path and value.
using Leaves = std::vector<std::pair<std::string, std::string>>;

/// What a changed option means to a run that goes on from a checkpoint (docs/checkpoints.md).
enum class Verdict {
  kIgnored,  ///< says how to resume, not how to train
  kTold,     ///< changes how long, where or how a run is watched: a line says it
  kRefused,  ///< changes what is learnt: needs resume.allow
};

/// One option that differs between a checkpoint and the run that goes on from it.
struct Change {
  std::string key;
  std::optional<std::string> before;  ///< nullopt: not given
  std::optional<std::string> now;

  /// "optimizer.lr: 0.002 instead of 0.001"
  std::string text() const;
};

/// Options that differ. One that is given on one side only, with its default, does not.
/// @param docs  the root's options, for their defaults
std::vector<Change> changes_between(const Leaves& before, const Leaves& now,
                                    const std::vector<config::FieldDoc>& docs);

/// By the option's place. Where data lie is told: their digests say whether they are the same. What
/// no rule names is refused: options of the user's own classes, too.
/// @param leaves  of both sides, for the classes of callbacks
Verdict verdict_on(const std::string& key, const Leaves& before, const Leaves& now);

}  // namespace polyphony::pipeline
