#include <polyphony/datasets/kemdy19.h>

#include <cmath>
#include <cstdio>

#include <ATen/ops/scalar_tensor.h>
#include <fmt/format.h>

#include <polyphony/audio/decode.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/bind/registry.h>

namespace polyphony::datasets {
namespace {

void describe_audio(config::Fields& f, int& audio_max_length) {
  f("audio_max_length", audio_max_length, "samples kept of a recording, at 16 kHz");
  f.check("audio_max_length", audio_max_length >= 1, "at least 1");
}

void describe_text(config::Fields& f, int& text_max_length) {
  f("text_max_length", text_max_length, "tokens kept of a text");
  f.check("text_max_length", text_max_length >= 3, "at least 3");
}

}  // namespace

void KemdyOptions::describe(config::Fields& f) {
  f.required("data_path", place.data_path,
             "folder that holds path_data/ and KEMDy19/ (connected_dir), or one path_SPLIT.pkl or "
             ".csv");
  f("split", place.split, "train, val, test or predict (the test rows); unused with one file");
  f("target_column_name", place.target_column_name, "column of the label, 0 to num_labels - 1");
  f("audio_root", place.audio_root,
    "folder in which ./KEMDy19/wav/ begins; empty: data_path, or found beside a file");
  f("num_labels", num_labels, "number of classes");
  f.check("num_labels", num_labels >= 2, "at least 2");
  f("classes", classes, "class names in label order; empty: their numbers");
}

KemdyDataset::KemdyDataset(KemdyOptions options)
    : options_(std::move(options)), read_(read_kemdy_rows(options_.place, options_.num_labels)) {
  if (options_.classes.empty()) {
    for (int i = 0; i < options_.num_labels; ++i) options_.classes.push_back(std::to_string(i));
  }
  if (std::ssize(options_.classes) != options_.num_labels) {
    throw ConfigError(fmt::format("dataset.classes: {} names for num_labels={}",
                                  options_.classes.size(), options_.num_labels),
                      "give one name for each label, in label order");
  }
  if (read_.left_out > 0) {
    note("{}: {} rows with a missing cell left out", read_.source, read_.left_out);
  }
}

void KemdyDataset::require_recordings() const {
  const std::filesystem::path& first = row(0).audio;
  std::error_code error;
  if (std::filesystem::exists(first, error)) return;
  throw DataError(first.string() + ": no such recording",
                  "put the wav tree of the corpus there (KEMDy19/wav beside path_data/), or say "
                  "where it is with the dataset's option audio_root");
}

std::vector<std::int64_t> KemdyDataset::class_counts() const {
  std::vector<std::int64_t> counts(options_.classes.size());
  for (const KemdyRow& one : read_.rows) ++counts[static_cast<std::size_t>(one.label)];
  return counts;
}

const KemdyRow& KemdyDataset::row(std::int64_t index) const {
  return read_.rows.at(static_cast<std::size_t>(index));
}

at::Tensor KemdyDataset::label(std::int64_t index) const {
  return at::scalar_tensor(row(index).label, at::kLong);
}

std::vector<std::int64_t> KemdyDataset::recorded_lengths() const {
  constexpr double kMilliseconds = 1000;
  std::vector<std::int64_t> lengths;
  for (const KemdyRow& one : read_.rows) {
    lengths.push_back(std::lround(audio::recorded_seconds(one.audio) * kMilliseconds));
  }
  return lengths;
}

std::vector<std::int64_t> KemdyDataset::text_lengths() const {
  std::vector<std::int64_t> lengths;
  for (const KemdyRow& one : read_.rows) lengths.push_back(std::ssize(one.text));
  return lengths;
}

void KemdyAudioOptions::describe(config::Fields& f) {
  KemdyOptions::describe(f);
  f.required("pretrained_model", pretrained_model,
             "whose feature extractor: folder, or the hub's name of a model");
  describe_audio(f, audio_max_length);
}

KEMDy19Audio::KEMDy19Audio(const Options& options)
    : KemdyDataset(options), speech_(options.pretrained_model, options.audio_max_length) {
  require_recordings();
}

data::Item KEMDy19Audio::get(std::int64_t index) const {
  data::Item item;
  item.set("input_values", speech_.read(row(index).audio));
  item.set("label", label(index));
  return item;
}

void KemdyTextOptions::describe(config::Fields& f) {
  KemdyOptions::describe(f);
  f.required("pretrained_model", pretrained_model,
             "whose tokenizer: folder, or the hub's name of a model");
  describe_text(f, text_max_length);
}

KEMDy19Text::KEMDy19Text(const Options& options)
    : KemdyDataset(options),
      words_(options.pretrained_model, options.text_max_length, text::Cleaning::kKemdy19) {}

data::Item KEMDy19Text::get(std::int64_t index) const {
  data::Item item;
  item.set("input_ids", words_.read(row(index).text));
  item.set("label", label(index));
  return item;
}

void KemdyMultimodalOptions::describe(config::Fields& f) {
  KemdyOptions::describe(f);
  f.required("pretrained_hubert", pretrained_hubert,
             "the audio encoder and its feature extractor: folder, or the hub's name");
  f.required("pretrained_roberta", pretrained_roberta,
             "the text encoder and its tokenizer: folder, or the hub's name");
  describe_audio(f, audio_max_length);
  describe_text(f, text_max_length);
  f("num_devices", num_devices, "taken and unused: rows are dealt out without doubles");
  f("batch_size", batch_size, "taken and unused: see num_devices");
  f("audio_conv_kernel", audio_conv_kernel, "taken and unused: the encoder's config.json says it");
  f("audio_conv_stride", audio_conv_stride, "taken and unused: the encoder's config.json says it");
  f("device", device, "taken and unused: everything runs on the processor");
}

KEMDy19::KEMDy19(const Options& options)
    : KemdyDataset(options),
      options_(options),
      speech_(options.pretrained_hubert, options.audio_max_length),
      words_(options.pretrained_roberta, options.text_max_length, text::Cleaning::kKemdy19) {
  require_recordings();
}

data::Item KEMDy19::get(std::int64_t index) const {
  data::Item item;
  item.set("input_values", speech_.read(row(index).audio));
  item.set("input_ids", words_.read(row(index).text));
  item.set("label", label(index));
  return item;
}

std::vector<data::FrozenInput> KEMDy19::frozen_inputs() const {
  return {
      {"input_values", "audio_hidden", options_.pretrained_hubert, speech_.describe(),
       options_.audio_max_length},
      {"input_ids", "text_hidden", options_.pretrained_roberta, "ids", options_.text_max_length}};
}

std::string KEMDy19::content(const data::FrozenInput& input, std::int64_t index) const {
  if (input.input == "input_values") return read_file(row(index).audio);
  // What a tokenizer makes of the text holds all that its files decide.
  const at::Tensor ids = encoder_input(input, index);
  return {static_cast<const char*>(ids.data_ptr()), ids.nbytes()};
}

at::Tensor KEMDy19::encoder_input(const data::FrozenInput& input, std::int64_t index) const {
  return input.input == "input_values" ? speech_.read(row(index).audio)
                                       : words_.read(row(index).text);
}

data::Item KEMDy19::bare_row(std::int64_t index) const {
  data::Item item;
  item.set("label", label(index));
  return item;
}

POLYPHONY_REGISTER(data::Dataset, KEMDy19Audio, "polyphony.datasets.KEMDy19Audio",
                   "recordings of KEMDy19 in the original's layout")
POLYPHONY_REGISTER(data::Dataset, KEMDy19Text, "polyphony.datasets.KEMDy19Text",
                   "transcripts of KEMDy19 in the original's layout")
POLYPHONY_REGISTER(data::Dataset, KEMDy19, "polyphony.datasets.KEMDy19",
                   "recordings and transcripts of KEMDy19 in the original's layout")

}  // namespace polyphony::datasets
