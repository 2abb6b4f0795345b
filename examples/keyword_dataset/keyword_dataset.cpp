// A dataset of one's own: keyword spotting from the recordings of any manifest.
// The label is the first keyword that stands in the transcript; the model only hears.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>

#include <polyphony/audio/decode.h>
#include <polyphony/audio/log_mel.h>
#include <polyphony/base/csv.h>
#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/corpus/manifest.h>
#include <polyphony/data/dataset.h>
#include <polyphony/text/normalize.h>

namespace examples {
namespace {

using polyphony::DataError;

struct KeywordOptions {
  std::string manifest;               // CSV with audio_path, text and split
  std::string split = "train";        // the pipeline sets it for each stage
  std::vector<std::string> keywords;  // one class each, after the class "none"
  polyphony::audio::LogMelOptions log_mel;

  void describe(polyphony::config::Fields& f) {
    f.required("manifest", manifest, "CSV of recordings and transcripts");
    f("split", split, "value of the split column; the pipeline sets it");
    f.required("keywords", keywords, "words to spot, as they stand in normalised text");
    f.check("keywords", !keywords.empty(), "at least one word");
    f("log_mel", log_mel, "front-end of the audio");
  }
};

/// An item has "log_mel" (float [frames, mels]) and "label" (int64 [], 0 where no keyword is said).
class KeywordDataset : public polyphony::data::Dataset {
 public:
  using Options = KeywordOptions;

  /// @throws DataError where the split has no row
  explicit KeywordDataset(Options options)
      : options_(std::move(options)), front_end_(options_.log_mel), classes_{"none"} {
    classes_.insert(classes_.end(), options_.keywords.begin(), options_.keywords.end());
    const polyphony::corpus::Manifest manifest =
        polyphony::corpus::read_manifest(options_.manifest);
    table_.header = manifest.table.header;
    for (std::size_t i = 0; i < manifest.rows.size(); ++i) {
      if (manifest.rows[i].split != options_.split) continue;
      rows_.push_back(manifest.rows[i]);
      labels_.push_back(label_of(manifest.rows[i].text));
      table_.rows.push_back(manifest.table.rows[i]);
      table_.lines.push_back(manifest.table.lines[i]);
    }
    if (rows_.empty()) {
      throw DataError(fmt::format("{}: split '{}' is empty", options_.manifest, options_.split),
                      "look at the file's column 'split'");
    }
    folder_ = manifest.path.parent_path();
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(rows_.size()); }

  polyphony::data::Item get(std::int64_t index) const override {
    const auto row = static_cast<std::size_t>(index);
    const polyphony::audio::Audio sound =
        polyphony::audio::load_mono(folder_ / rows_.at(row).audio_path, options_.log_mel.rate);
    const polyphony::audio::Frames frames = front_end_(sound.samples);
    at::Tensor log_mel = at::empty({frames.frames, frames.mels});
    std::copy(frames.values.begin(), frames.values.end(), log_mel.data_ptr<float>());
    polyphony::data::Item item;
    item.set("log_mel", std::move(log_mel));
    item.set("label", at::scalar_tensor(labels_[row], at::kLong));
    return item;
  }

  const std::vector<std::string>& classes() const override { return classes_; }

  std::vector<std::int64_t> class_counts() const override {
    std::vector<std::int64_t> counts(classes_.size());
    for (const std::int64_t label : labels_) ++counts[static_cast<std::size_t>(label)];
    return counts;
  }

  const polyphony::CsvTable& table() const override { return table_; }

 private:
  std::int64_t label_of(const std::string& text) const {
    const std::string normal = polyphony::text::normalize(text, {});
    std::int64_t label = 0;
    std::size_t first = std::string::npos;
    for (std::size_t i = 0; i < options_.keywords.size(); ++i) {
      const std::size_t place = normal.find(options_.keywords[i]);
      if (place < first) {
        first = place;
        label = static_cast<std::int64_t>(i) + 1;
      }
    }
    return label;
  }

  Options options_;
  polyphony::audio::LogMel front_end_;
  std::vector<std::string> classes_;
  std::filesystem::path folder_;
  std::vector<polyphony::corpus::ManifestRow> rows_;
  std::vector<std::int64_t> labels_;
  polyphony::CsvTable table_;
};

}  // namespace

POLYPHONY_REGISTER(polyphony::data::Dataset, KeywordDataset, "examples.KeywordDataset",
                   "keyword spotting: is a word said in the recording, and which")

}  // namespace examples
