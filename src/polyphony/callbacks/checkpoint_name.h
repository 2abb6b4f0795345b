#pragma once

#include <cstdint>
#include <string>

#include <polyphony/train/stage.h>

namespace polyphony::callbacks {

/// A file name from Lightning's pattern, e.g. "{epoch}-{val_loss:.2f}": each group is a metric's
/// name with Python's format, a name that was never logged counts as 0, and with `insert_names` the
/// name stands before each value ("epoch=3").
/// @throws ConfigError if a format is not one of Python's that we know
std::string checkpoint_name(const std::string& pattern, const train::MetricValues& metrics,
                            std::int64_t epoch, std::int64_t step, bool insert_names);

}  // namespace polyphony::callbacks
