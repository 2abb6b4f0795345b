#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <polyphony/config/bind/fields.h>

namespace polyphony::audio {

struct LogMelOptions {
  int rate = 16000;          ///< samples a second
  int mels = 80;             ///< bands
  double window_ms = 25.0;   ///< length of the Hann window
  double hop_ms = 10.0;      ///< step from frame to frame
  double max_seconds = 0.0;  ///< what is later is cut off; 0 keeps all

  void describe(config::Fields& f);
};

/// Log-mel frames, row-major [frames, mels].
struct Frames {
  std::vector<float> values;
  std::int64_t frames = 0;
  std::int64_t mels = 0;
};

/// Natural logarithm of mel band energies of the power spectrum.
///
/// Periodic Hann window, FFT of the next power of two (512 for 25 ms at 16 kHz), triangular filters
/// of peak 1, evenly spaced on the HTK scale mel(f) = 2595 log10(1 + f / 700) from 0 Hz to rate /
/// 2, energies floored at 1e-10. Frames are not centred: frame i begins at sample i * hop. A
/// recording shorter than one window is padded with zeros to one frame. Source: Young et al., The
/// HTK Book, section 5.4 to 5.6.
class LogMel {
 public:
  using Options = LogMelOptions;
  /// @throws ConfigError where an option is out of range
  explicit LogMel(Options options);

  /// Safe to call from several threads.
  /// @param samples  mono, at `options.rate`; at least one
  /// @throws DataError for no samples
  Frames operator()(std::span<const float> samples) const;

 private:
  /// One triangle: the bins from `first` on with their weights.
  struct Filter {
    std::size_t first = 0;
    std::vector<float> weights;
  };

  void make_filters();

  Options options_;
  std::size_t hop_ = 0;
  std::size_t fft_ = 0;
  std::vector<float> window_;
  std::vector<Filter> filters_;
};

}  // namespace polyphony::audio
