#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <polyphony/config/fields.h>

namespace polyphony::metrics {

/// How the classes' scores become one number.
enum class Average {
  kMicro,     ///< all decisions counted together
  kMacro,     ///< mean over classes
  kWeighted,  ///< mean over classes by their number of true rows
};

/// What a macro average does with a class that is neither in the truth nor among the predictions.
enum class AbsentClasses {
  kZero,      ///< it counts as 0: torchmetrics 0.11.4
  kLeaveOut,  ///< it does not count: torchmetrics 1.4.3
};

/// All functions below take the counts of a confusion matrix [classes * classes], row-major, row =
/// truth, column = prediction, and return values in [0, 1]; 0 where nothing was counted.
using Counts = std::span<const std::int64_t>;

/// torchmetrics' MulticlassAccuracy: with kMacro the mean recall, with kMicro the share of right
/// rows.
double accuracy(Counts counts, Average average, AbsentClasses absent = AbsentClasses::kLeaveOut);
double precision(Counts counts, Average average, AbsentClasses absent = AbsentClasses::kLeaveOut);
double recall(Counts counts, Average average, AbsentClasses absent = AbsentClasses::kLeaveOut);
double f1(Counts counts, Average average, AbsentClasses absent = AbsentClasses::kLeaveOut);

/// One value a class, in class order; 0 where it is undefined.
std::vector<double> class_f1(Counts counts);

}  // namespace polyphony::metrics

template <>
struct polyphony::config::EnumNames<polyphony::metrics::Average> {
  static constexpr std::pair<const char*, polyphony::metrics::Average> kTable[] = {
      {"micro", polyphony::metrics::Average::kMicro},
      {"macro", polyphony::metrics::Average::kMacro},
      {"weighted", polyphony::metrics::Average::kWeighted}};
};

template <>
struct polyphony::config::EnumNames<polyphony::metrics::AbsentClasses> {
  static constexpr std::pair<const char*, polyphony::metrics::AbsentClasses> kTable[] = {
      {"zero", polyphony::metrics::AbsentClasses::kZero},
      {"leave_out", polyphony::metrics::AbsentClasses::kLeaveOut}};
};
