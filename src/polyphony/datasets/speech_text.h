#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/audio/log_mel.h>
#include <polyphony/config/bind/fields.h>
#include <polyphony/corpus/manifest.h>
#include <polyphony/data/embeddable.h>
#include <polyphony/datasets/pretrained_inputs.h>
#include <polyphony/text/normalize.h>

namespace polyphony::datasets {

enum class Input { kLogMel, kNgrams, kInputValues, kInputIds };

struct NgramOptions {
  int max_n = 4;          ///< longest n-gram of characters, in code points
  int max_words = 0;      ///< longest n-gram of words; 0: none
  int buckets = 1 << 16;  ///< hashes are in [1, buckets); 0 is padding
  int max_length = 400;   ///< positions kept

  void describe(config::Fields& f);
};

struct SpeechTextOptions {
  std::string manifest;
  std::string split = "train";
  std::string split_column = "split";
  std::string path_column = "audio_path";
  std::string text_column = "text";
  std::string label_column = "label";
  std::vector<std::string> classes;
  bool multi_label = false;
  std::string label_separator = "|";
  std::vector<Input> inputs;
  audio::LogMelOptions log_mel;
  text::NormalizeOptions normalize;
  NgramOptions ngrams;
  PretrainedInputsOptions pretrained;
  bool frozen = false;
  int cache_mb = 2048;

  void describe(config::Fields& f);
};

/// Rows of a manifest of recordings and transcripts.
///
/// An item has "label" (int64 [], -1 where the cell is empty; with `multi_label` float [classes], 1
/// where the cell names the class) and, as `inputs` asks, "log_mel" (float [frames, mels]) and
/// "ngrams" (int64 [positions, max_n + max_words]), which are computed once and kept in memory up
/// to `cache_mb`, "input_values" (float [samples]) and "input_ids" (int64 [tokens]), what
/// pretrained encoders read. With `frozen` these two are embedded once.
class SpeechTextDataset : public data::Dataset, public data::Embeddable {
 public:
  using Options = SpeechTextOptions;
  /// @throws DataError for an empty split, a missing column, an unknown label or rows without audio
  /// or
  ///   text that the inputs need
  explicit SpeechTextDataset(Options options);

  std::int64_t size() const override { return static_cast<std::int64_t>(rows_.size()); }
  data::Item get(std::int64_t index) const override;
  const std::vector<std::string>& classes() const override { return options_.classes; }
  /// With `multi_label` a row counts for each of its classes.
  std::vector<std::int64_t> class_counts() const override;
  bool multi_label() const override { return options_.multi_label; }
  std::int64_t unlabelled() const override;
  /// Milliseconds of the recordings where the inputs need them, else bytes of the texts.
  std::vector<std::int64_t> lengths() const override;
  const CsvTable& table() const override { return table_; }

  std::vector<data::FrozenInput> frozen_inputs() const override;
  std::string content(const data::FrozenInput& input, std::int64_t row) const override;
  at::Tensor encoder_input(const data::FrozenInput& input, std::int64_t row) const override;
  data::Item bare_row(std::int64_t row) const override;

 private:
  struct Row {
    std::string audio;
    std::string text;
    std::vector<std::int64_t> labels;  ///< one, or any number with multi_label
    bool labelled = false;             ///< the cell is not blank
  };

  corpus::Manifest read_table() const;
  void read_rows();
  std::vector<std::int64_t> labels_of(const corpus::ManifestRow& row) const;
  std::int64_t label_of(const std::string& name, const corpus::ManifestRow& row) const;
  at::Tensor label(const Row& row) const;
  at::Tensor log_mel(const std::string& path) const;
  at::Tensor ngrams(const std::string& words) const;
  at::Tensor cached(std::vector<at::Tensor>& cache, std::size_t index,
                    const std::function<at::Tensor()>& compute) const;

  Options options_;
  bool one_split_ = false;  // only the rows whose split column says so
  CsvTable table_;
  std::vector<Row> rows_;
  audio::LogMel front_end_;
  std::optional<SpeechInput> speech_;  // where input_values are wanted
  std::optional<TextInput> words_;     // where input_ids are wanted
  mutable std::mutex mutex_;
  mutable std::vector<at::Tensor> log_mels_;  // by row; undefined where not yet computed
  mutable std::vector<at::Tensor> ngrams_;
  mutable std::size_t cached_bytes_ = 0;
};

}  // namespace polyphony::datasets

template <>
struct polyphony::config::EnumNames<polyphony::datasets::Input> {
  static constexpr std::pair<const char*, polyphony::datasets::Input> kTable[] = {
      {"log_mel", polyphony::datasets::Input::kLogMel},
      {"ngrams", polyphony::datasets::Input::kNgrams},
      {"input_values", polyphony::datasets::Input::kInputValues},
      {"input_ids", polyphony::datasets::Input::kInputIds}};
};
