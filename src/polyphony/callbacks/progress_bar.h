#pragma once

#include <memory>
#include <string>

#include <polyphony/config/bind/fields.h>
#include <polyphony/train/callback.h>

namespace polyphony {
class Progress;
}

namespace polyphony::callbacks {

enum class ProgressStyle {
  kAuto,   ///< bars on a terminal, lines elsewhere
  kPlain,  ///< lines everywhere
  kQuiet,  ///< nothing
};

struct ProgressBarOptions {
  ProgressStyle style = ProgressStyle::kAuto;
  double interval = 0;
  std::int64_t refresh_rate = 1;
  bool leave = true;
  void describe(config::Fields& f);
};

/// A bar for each training epoch, and one below it while validation runs: rate, ETA and the newest
/// metrics. Of several processes rank 0 shows them.
class ProgressBar : public train::Callback {
 public:
  using Options = ProgressBarOptions;
  explicit ProgressBar(Options options = {});
  ~ProgressBar() override;
  std::string name() const override { return "ProgressBar"; }
  void on_train_epoch_start(train::Trainer& trainer) override;
  void on_train_batch_end(train::Trainer& trainer, double loss, std::int64_t index) override;
  void on_train_epoch_end(train::Trainer& trainer) override;
  void on_validation_start(train::Trainer& trainer) override;
  void on_validation_batch_end(train::Trainer& trainer, const data::Batch& batch,
                               std::int64_t index) override;
  void on_validation_end(train::Trainer& trainer) override;
  void on_exception(train::Trainer& trainer, const std::exception& error) override;

 private:
  bool shows(const train::Trainer& trainer) const;
  void open(const train::Trainer& trainer);
  std::unique_ptr<Progress> bar(std::string label, std::int64_t total) const;

  Options options_;
  std::unique_ptr<Progress> epoch_;
  std::unique_ptr<Progress> validation_;  ///< inside the epoch's, if there is one
};

}  // namespace polyphony::callbacks

template <>
struct polyphony::config::EnumNames<polyphony::callbacks::ProgressStyle> {
  static constexpr std::pair<const char*, polyphony::callbacks::ProgressStyle> kTable[] = {
      {"auto", polyphony::callbacks::ProgressStyle::kAuto},
      {"plain", polyphony::callbacks::ProgressStyle::kPlain},
      {"quiet", polyphony::callbacks::ProgressStyle::kQuiet}};
};
