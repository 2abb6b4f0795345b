// A callback that the tests of signals load into the program: it stands still at a moment of the
// run and says what it hears there.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include <unistd.h>

#include <polyphony/base/files.h>
#include <polyphony/base/signals.h>
#include <polyphony/config/bind/fields.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/train/trainer.h>

namespace polyphony {
namespace {

namespace fs = std::filesystem;

/// What the program starts (git, tee) need not load this too.
const int kAlone = unsetenv("LD_PRELOAD");

struct MomentOptions {
  std::string hook;
  std::string directory;

  void describe(config::Fields& f) {
    f("hook", hook, "where to stand still: setup, sanity, train, validation, save, test, predict");
    f("directory", directory, "gets reached-RANK (its process), heard-RANK-SIGNAL; waits for go");
  }
};

class Moment : public train::Callback {
 public:
  using Options = MomentOptions;
  explicit Moment(Options options) : options_(std::move(options)) {}
  void setup(train::Trainer& trainer) override { at("setup", trainer); }
  void on_train_batch_end(train::Trainer& trainer, double, std::int64_t index) override {
    if (index == 1) at("train", trainer);
  }
  void on_validation_batch_start(train::Trainer& trainer, const data::Batch&,
                                 std::int64_t index) override {
    if (trainer.sanity_checking()) {
      at("sanity", trainer);
    } else if (index == 1) {
      at("validation", trainer);
    }
  }
  void on_save_checkpoint(train::Trainer& trainer, tensor::Value&) override { at("save", trainer); }
  void on_test_batch_start(train::Trainer& trainer, const data::Batch&, std::int64_t) override {
    at("test", trainer);
  }
  void on_predict_batch_start(train::Trainer& trainer, const data::Batch&, std::int64_t) override {
    at("predict", trainer);
  }

 private:
  /// The first time only.
  void at(const std::string& hook, train::Trainer& trainer) {
    if (hook != options_.hook || done_) return;
    done_ = true;
    const fs::path folder = options_.directory;
    const std::string rank = std::to_string(trainer.collective().rank());
    write_file(folder / ("reached-" + rank), std::to_string(getpid()));
    int heard = 0;
    while (!fs::exists(folder / "go")) {
      if (StopSignals::requested() != heard) {
        heard = StopSignals::requested();
        write_file(folder / ("heard-" + rank + "-" + std::to_string(heard)), "");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  Options options_;
  bool done_ = false;
};

POLYPHONY_REGISTER(train::Callback, Moment, "polyphony.tests.Moment", "stands still at a moment")

}  // namespace
}  // namespace polyphony
