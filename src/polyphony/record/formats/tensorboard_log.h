#pragma once

#include <filesystem>
#include <optional>

#include <polyphony/record/formats/append_file.h>
#include <polyphony/record/sink.h>

namespace polyphony::record::tensorboard {
class Event;
class SummaryMetadata;
}  // namespace polyphony::record::tensorboard

namespace polyphony::record {

struct TensorBoardOptions {
  std::filesystem::path directory;  ///< made where absent
  std::string prefix;               ///< put before tags, with "-"; may be empty
  /// Hyper-parameters show in the HPARAMS tab only with a metric: "hp_metric", -1 until one is
  /// logged.
  bool default_hp_metric = true;
};

/// A TensorBoard event file: scalars, histograms, text, images, hyper-parameters (hparams plugin)
/// and a custom layout that puts the curves of one quantity (train_loss, val_loss, …) in one chart.
class TensorBoardLog : public Sink {
 public:
  TensorBoardLog(TensorBoardOptions options, const RunInfo& run);
  ~TensorBoardLog() override;
  std::string name() const override { return "TensorBoardLogger"; }
  void log(const Row& row) override;
  void log_hyper_parameters(const config::Node& values) override;
  void log_model_summary(const std::string& text) override;
  void log_alert(const Alert& alert) override;
  void log_artifact(const Artifact& artifact) override;
  void log_histogram(const std::string& tag, const Histogram& values, std::int64_t step) override;
  void log_text(const std::string& tag, const std::string& markdown, std::int64_t step) override;
  void log_image(const std::string& tag, const Image& image, std::int64_t step) override;
  void flush() override;
  void finish(State state, const std::string& error) override;

  const std::filesystem::path& path() const { return out_->path(); }

 private:
  void write(const tensorboard::Event& event);
  void write_plugin(const std::string& tag, const std::string& plugin, const std::string& content,
                    double time);
  void write_layout();
  std::string tag_of(const std::string& name) const;

  TensorBoardOptions options_;
  std::optional<AppendFile> out_;
  std::vector<std::string> tags_;  ///< of scalars, in order of appearance
  std::size_t tags_in_layout_ = 0;
  std::int64_t step_ = 0;              ///< of the newest row
  bool has_hyper_parameters_ = false;  ///< their session is open
};

}  // namespace polyphony::record
