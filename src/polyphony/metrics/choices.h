#pragma once

#include <utility>

#include <polyphony/config/bind/fields.h>

namespace polyphony::metrics {

/// What a row's label is.
enum class Task {
  kBinary,      ///< 0 or 1
  kMulticlass,  ///< one of num_classes
  kMultilabel,  ///< num_labels answers of 0 or 1
};

/// How the scores of the classes (or labels) become one number.
enum class Average {
  kMicro,     ///< all decisions counted together
  kMacro,     ///< mean over classes
  kWeighted,  ///< mean over classes by their number of true rows
  kNone,      ///< one value a class
};

/// How the positions of a row [rows, …] are counted.
enum class Multidim {
  kGlobal,      ///< as so many rows
  kSamplewise,  ///< on their own, with one value a row
};

/// Whose rules hold where two releases of TorchMetrics answer differently (docs/metrics.md).
enum class TorchMetrics {
  k0_11_4,  ///< a class that is neither in the truth nor among the predictions scores 0
  k1_4_3,   ///< such a class is left out of a macro average
};

}  // namespace polyphony::metrics

template <>
struct polyphony::config::EnumNames<polyphony::metrics::Task> {
  static constexpr std::pair<const char*, polyphony::metrics::Task> kTable[] = {
      {"binary", polyphony::metrics::Task::kBinary},
      {"multiclass", polyphony::metrics::Task::kMulticlass},
      {"multilabel", polyphony::metrics::Task::kMultilabel}};
};

template <>
struct polyphony::config::EnumNames<polyphony::metrics::Average> {
  static constexpr std::pair<const char*, polyphony::metrics::Average> kTable[] = {
      {"micro", polyphony::metrics::Average::kMicro},
      {"macro", polyphony::metrics::Average::kMacro},
      {"weighted", polyphony::metrics::Average::kWeighted},
      {"none", polyphony::metrics::Average::kNone}};
};

template <>
struct polyphony::config::EnumNames<polyphony::metrics::Multidim> {
  static constexpr std::pair<const char*, polyphony::metrics::Multidim> kTable[] = {
      {"global", polyphony::metrics::Multidim::kGlobal},
      {"samplewise", polyphony::metrics::Multidim::kSamplewise}};
};

template <>
struct polyphony::config::EnumNames<polyphony::metrics::TorchMetrics> {
  static constexpr std::pair<const char*, polyphony::metrics::TorchMetrics> kTable[] = {
      {"0.11.4", polyphony::metrics::TorchMetrics::k0_11_4},
      {"1.4.3", polyphony::metrics::TorchMetrics::k1_4_3}};
};
