#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/data/dataset.h>
#include <polyphony/data/embeddable.h>
#include <polyphony/datasets/kemdy19_rows.h>
#include <polyphony/datasets/pretrained_inputs.h>

namespace polyphony::datasets {

/// What the three datasets of KEMDy19 share.
struct KemdyOptions {
  KemdyPlace place;
  int num_labels = 7;
  std::vector<std::string> classes;  ///< names in label order; empty: the numbers

  void describe(config::Fields& f);
};

/// Rows, labels and table of KEMDy19 (kemdy19_rows.h), without inputs.
class KemdyDataset : public data::Dataset {
 public:
  /// @throws as read_kemdy_rows; ConfigError where `classes` are not `num_labels`
  explicit KemdyDataset(KemdyOptions options);

  std::int64_t size() const override { return std::ssize(read_.rows); }
  const std::vector<std::string>& classes() const override { return options_.classes; }
  std::vector<std::int64_t> class_counts() const override;
  const CsvTable& table() const override { return read_.table; }

 protected:
  const KemdyRow& row(std::int64_t index) const;
  /// @throws DataError where the first recording is not there: the corpus is somewhere else
  void require_recordings() const;
  at::Tensor label(std::int64_t index) const;
  /// Milliseconds of the recordings, or bytes of the texts.
  std::vector<std::int64_t> recorded_lengths() const;
  std::vector<std::int64_t> text_lengths() const;

 private:
  KemdyOptions options_;
  KemdyRows read_;
};

struct KemdyAudioOptions : KemdyOptions {
  std::string pretrained_model;
  int audio_max_length = 80000;

  void describe(config::Fields& f);
};

/// "input_values" (float [samples], as the model's feature extractor makes them) and "label".
class KEMDy19Audio : public KemdyDataset {
 public:
  using Options = KemdyAudioOptions;
  explicit KEMDy19Audio(const Options& options);

  data::Item get(std::int64_t index) const override;
  std::vector<std::int64_t> lengths() const override { return recorded_lengths(); }

 private:
  SpeechInput speech_;
};

struct KemdyTextOptions : KemdyOptions {
  std::string pretrained_model;
  int text_max_length = 249;

  void describe(config::Fields& f);
};

/// "input_ids" (int64 [tokens] of the cleaned text) and "label".
class KEMDy19Text : public KemdyDataset {
 public:
  using Options = KemdyTextOptions;
  explicit KEMDy19Text(const Options& options);

  data::Item get(std::int64_t index) const override;
  std::vector<std::int64_t> lengths() const override { return text_lengths(); }

 private:
  TextInput words_;
};

struct KemdyMultimodalOptions : KemdyOptions {
  std::string pretrained_hubert;
  std::string pretrained_roberta;
  int audio_max_length = 80000;
  int text_max_length = 249;
  // Of the original; what they say is found out or decided elsewhere.
  int num_devices = 1;
  int batch_size = 1;
  std::vector<int> audio_conv_kernel;
  std::vector<int> audio_conv_stride;
  std::string device;

  void describe(config::Fields& f);
};

/// Both, for the fusion of what the two frozen encoders make of them: "audio_hidden" and
/// "text_hidden" once they are embedded, "input_values" and "input_ids" before; and "label".
class KEMDy19 : public KemdyDataset, public data::Embeddable {
 public:
  using Options = KemdyMultimodalOptions;
  explicit KEMDy19(const Options& options);

  data::Item get(std::int64_t index) const override;
  std::vector<std::int64_t> lengths() const override { return recorded_lengths(); }

  std::vector<data::FrozenInput> frozen_inputs() const override;
  std::string content(const data::FrozenInput& input, std::int64_t row) const override;
  at::Tensor encoder_input(const data::FrozenInput& input, std::int64_t row) const override;
  data::Item bare_row(std::int64_t row) const override;

 private:
  Options options_;
  SpeechInput speech_;
  TextInput words_;
};

}  // namespace polyphony::datasets
