#include <polyphony/audio/log_mel.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <numbers>
#include <utility>

#include <fmt/format.h>
#include <kissfft/kiss_fftr.h>

#include <polyphony/base/error.h>

namespace polyphony::audio {
namespace {

constexpr float kFloor = 1e-10F;

double hertz_to_mel(double hertz) { return 2595.0 * std::log10(1.0 + hertz / 700.0); }
double mel_to_hertz(double mel) { return 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0); }

struct Free {
  void operator()(kiss_fftr_state* state) const { kiss_fftr_free(state); }
};

void require(bool holds, const char* option, const char* rule) {
  if (!holds) throw ConfigError(fmt::format("log_mel.{}: must be {}", option, rule));
}

}  // namespace

void LogMelOptions::describe(config::Fields& f) {
  f("rate", rate, "samples a second the recording is resampled to");
  f.check("rate", rate >= 1000, "at least 1000");
  f("mels", mels, "mel bands");
  f.check("mels", mels >= 1 && mels <= 256, "between 1 and 256");
  f("window_ms", window_ms, "length of the Hann window, in ms");
  f.check("window_ms", window_ms > 0.0 && window_ms <= 1000.0, "above 0, at most 1000");
  f("hop_ms", hop_ms, "step from frame to frame, in ms");
  f.check("hop_ms", hop_ms > 0.0 && hop_ms <= 1000.0, "above 0, at most 1000");
  f("max_seconds", max_seconds, "what is later is cut off; 0 keeps all");
  f.check("max_seconds", max_seconds >= 0.0, "at least 0");
}

LogMel::LogMel(Options options) : options_(options) {
  require(options_.rate >= 1000, "rate", "at least 1000");
  require(options_.mels >= 1 && options_.mels <= 256, "mels", "between 1 and 256");
  require(options_.window_ms > 0.0 && options_.window_ms <= 1000.0, "window_ms",
          "above 0, at most 1000");
  require(options_.hop_ms > 0.0 && options_.hop_ms <= 1000.0, "hop_ms", "above 0, at most 1000");
  require(options_.max_seconds >= 0.0, "max_seconds", "at least 0");
  const auto samples_of = [this](double ms) {
    return static_cast<std::size_t>(std::max(1.0, std::round(ms * options_.rate / 1000.0)));
  };
  hop_ = samples_of(options_.hop_ms);
  window_.resize(samples_of(options_.window_ms));
  for (std::size_t i = 0; i < window_.size(); ++i) {
    const double phase =
        2.0 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(window_.size());
    window_[i] = static_cast<float>(0.5 - 0.5 * std::cos(phase));
  }
  fft_ = std::max<std::size_t>(std::bit_ceil(window_.size()), 2);
  make_filters();
}

void LogMel::make_filters() {
  const auto bands = static_cast<std::size_t>(options_.mels);
  const double top = hertz_to_mel(options_.rate / 2.0);
  std::vector<double> edges(bands + 2);
  for (std::size_t i = 0; i < edges.size(); ++i) {
    edges[i] = mel_to_hertz(top * static_cast<double>(i) / static_cast<double>(bands + 1));
  }
  filters_.resize(bands);
  for (std::size_t band = 0; band < bands; ++band) {
    Filter& filter = filters_[band];
    for (std::size_t bin = 0; bin <= fft_ / 2; ++bin) {
      const double hertz = static_cast<double>(bin) * options_.rate / static_cast<double>(fft_);
      const double up = (hertz - edges[band]) / (edges[band + 1] - edges[band]);
      const double down = (edges[band + 2] - hertz) / (edges[band + 2] - edges[band + 1]);
      const double weight = std::min(up, down);
      if (weight <= 0.0) continue;
      if (filter.weights.empty()) filter.first = bin;
      filter.weights.push_back(static_cast<float>(weight));
    }
  }
}

Frames LogMel::operator()(std::span<const float> samples) const {
  if (samples.empty()) {
    throw DataError("log-mel: no samples", "a recording needs at least one sample");
  }
  if (options_.max_seconds > 0.0) {
    const auto most = std::max(1.0, std::floor(options_.max_seconds * options_.rate));
    if (most < static_cast<double>(samples.size())) {
      samples = samples.first(static_cast<std::size_t>(most));
    }
  }
  const std::size_t width = window_.size();
  const std::size_t count = samples.size() <= width ? 1 : 1 + (samples.size() - width) / hop_;
  Frames frames{std::vector<float>(count * filters_.size()), static_cast<std::int64_t>(count),
                static_cast<std::int64_t>(filters_.size())};
  // The plan holds scratch memory, so each call has its own.
  const std::unique_ptr<kiss_fftr_state, Free> plan(
      kiss_fftr_alloc(static_cast<int>(fft_), 0, nullptr, nullptr));
  std::vector<float> input(fft_);
  std::vector<kiss_fft_cpx> spectrum(fft_ / 2 + 1);
  std::vector<float> power(spectrum.size());
  float* out = frames.values.data();
  for (std::size_t frame = 0; frame < count; ++frame) {
    const std::span<const float> part = samples.subspan(frame * hop_);
    const std::size_t length = std::min(width, part.size());
    std::fill(input.begin(), input.end(), 0.0F);
    for (std::size_t i = 0; i < length; ++i) input[i] = part[i] * window_[i];
    kiss_fftr(plan.get(), input.data(), spectrum.data());
    std::transform(spectrum.begin(), spectrum.end(), power.begin(),
                   [](const kiss_fft_cpx& bin) { return bin.r * bin.r + bin.i * bin.i; });
    for (const Filter& filter : filters_) {
      float energy = 0.0F;
      for (std::size_t i = 0; i < filter.weights.size(); ++i) {
        energy += filter.weights[i] * power[filter.first + i];
      }
      *out++ = std::log(std::max(energy, kFloor));
    }
  }
  return frames;
}

}  // namespace polyphony::audio
