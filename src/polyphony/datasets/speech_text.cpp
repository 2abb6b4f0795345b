#include <polyphony/datasets/speech_text.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <polyphony/audio/decode.h>
#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/base/notice.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/text/ngrams.h>

namespace polyphony::datasets {
namespace {

bool wants(const std::vector<Input>& inputs, Input input) {
  return std::find(inputs.begin(), inputs.end(), input) != inputs.end();
}

bool hears(const std::vector<Input>& inputs) {
  return wants(inputs, Input::kLogMel) || wants(inputs, Input::kInputValues);
}

bool reads(const std::vector<Input>& inputs) {
  return wants(inputs, Input::kNgrams) || wants(inputs, Input::kInputIds);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && corpus::blank(text.substr(0, 1))) text.remove_prefix(1);
  while (!text.empty() && corpus::blank(text.substr(text.size() - 1))) text.remove_suffix(1);
  return text;
}

/// @throws ConfigError where a class's name would be read as several
void check_separator(const SpeechTextOptions& options) {
  for (const std::string& name : options.classes) {
    if (name.find(options.label_separator) == std::string::npos) continue;
    throw ConfigError(fmt::format("dataset.classes: '{}' holds the separator '{}'", name,
                                  options.label_separator),
                      "choose another dataset.label_separator, and write the manifest with it");
  }
}

/// The model whose files an input needs. @throws ConfigError where none is named
const std::string& model_of(const std::string& model, const char* input, const char* option) {
  if (!model.empty()) return model;
  throw ConfigError(fmt::format("dataset.pretrained.{}: must be given for {}", option, input),
                    "name the encoder: a folder in Hugging Face's layout, or a model of the hub");
}

}  // namespace

void NgramOptions::describe(config::Fields& f) {
  f("max_n", max_n, "longest n-gram of characters, in code points");
  f.check("max_n", max_n >= 1 && max_n <= 8, "between 1 and 8");
  f("max_words", max_words, "longest n-gram of words; 0: none");
  f.check("max_words", max_words >= 0 && max_words <= 4, "between 0 and 4");
  f("buckets", buckets, "hash buckets; 0 is padding");
  f.check("buckets", buckets >= 2, "at least 2");
  f("max_length", max_length, "positions kept of a text");
  f.check("max_length", max_length >= 1, "at least 1");
}

void SpeechTextOptions::describe(config::Fields& f) {
  f.required("manifest", manifest,
             "CSV of recordings, transcripts and labels; {split} in it: a file a split");
  f("split", split, "rows to use: value of the split column; empty: all rows");
  f("split_column", split_column, "column of the split");
  f("path_column", path_column,
    "column of the recording's path, relative to the manifest or absolute");
  f("text_column", text_column, "column of the transcript");
  f("label_column", label_column,
    "column of the label: a class name or its number from 0; may be absent at prediction");
  f.required("classes", classes, "class names in label order");
  f.check("classes", classes.size() >= 2, "at least two names");
  f("multi_label", multi_label, "a row may have several classes; the task says so too");
  f("label_separator", label_separator,
    "with multi_label: stands between the classes of a row; a cell of it alone: none of them");
  f.check("label_separator", !corpus::blank(label_separator), "not blank");
  f.required("inputs", inputs, "what the model reads: log_mel, ngrams, input_values, input_ids");
  f.check("inputs", !inputs.empty(), "at least one of log_mel, ngrams, input_values, input_ids");
  f("log_mel", log_mel, "front-end of the audio");
  f("normalize", normalize, "normalisation of the text");
  f("ngrams", ngrams, "hashed n-grams of the text");
  f("pretrained", pretrained, "input_values and input_ids: how pretrained encoders read a row");
  f("frozen", frozen,
    "the encoders of input_values and input_ids are frozen: the model gets audio_hidden and "
    "text_hidden, which are computed once and kept (docs/embeddings.md)");
  f("cache_mb", cache_mb, "memory for computed inputs, in MiB; they are computed once");
}

SpeechTextDataset::SpeechTextDataset(Options options)
    : options_(std::move(options)), front_end_(options_.log_mel) {
  if (options_.multi_label) check_separator(options_);
  constexpr std::string_view kSplit = "{split}";
  if (const std::size_t at = options_.manifest.find(kSplit); at != std::string::npos) {
    options_.manifest.replace(at, kSplit.size(), options_.split);
  } else {
    one_split_ = !options_.split.empty();
  }
  const PretrainedInputsOptions& encoders = options_.pretrained;
  if (wants(options_.inputs, Input::kInputValues)) {
    speech_.emplace(model_of(encoders.audio_model, "input_values", "audio_model"),
                    encoders.audio_max_length);
  }
  if (wants(options_.inputs, Input::kInputIds)) {
    words_.emplace(model_of(encoders.text_model, "input_ids", "text_model"),
                   encoders.text_max_length, encoders.cleaning);
  }
  read_rows();
  log_mels_.resize(rows_.size());
  ngrams_.resize(rows_.size());
}

std::int64_t SpeechTextDataset::label_of(const std::string& name,
                                         const corpus::ManifestRow& row) const {
  const auto& classes = options_.classes;
  const auto label = corpus::label_of(name, classes);
  if (label && *label < static_cast<std::int64_t>(classes.size())) return *label;
  const char* several = options_.multi_label ? "; dataset.label_separator stands between several"
                                             : "; dataset.multi_label reads several of a row";
  throw DataError(
      fmt::format("{}:{}: label '{}' is out of range", options_.manifest, row.line, name),
      fmt::format("labels are 0 to {} or one of: {}; see dataset.classes{}", classes.size() - 1,
                  fmt::join(classes, ", "), several));
}

/// The classes of a cell that is not blank, each once, in label order.
std::vector<std::int64_t> SpeechTextDataset::labels_of(const corpus::ManifestRow& row) const {
  if (!options_.multi_label) return {label_of(row.label, row)};
  const std::string& separator = options_.label_separator;
  std::vector<std::int64_t> labels;
  for (std::size_t begin = 0; begin <= row.label.size();) {
    const std::size_t end = std::min(row.label.find(separator, begin), row.label.size());
    const std::string name(trimmed(std::string_view(row.label).substr(begin, end - begin)));
    if (!name.empty()) labels.push_back(label_of(name, row));
    begin = end + separator.size();
  }
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return labels;
}

at::Tensor SpeechTextDataset::label(const Row& row) const {
  if (!options_.multi_label) return at::scalar_tensor(row.labelled ? row.labels[0] : -1, at::kLong);
  at::Tensor has = at::zeros({std::ssize(options_.classes)});
  for (const std::int64_t one : row.labels) has.data_ptr<float>()[one] = 1.0F;
  return has;
}

/// The manifest, with the columns that the inputs need.
corpus::Manifest SpeechTextDataset::read_table() const {
  corpus::ManifestColumns columns;
  columns.path = options_.path_column;
  columns.text = options_.text_column;
  columns.label = options_.label_column;
  columns.split = options_.split_column;
  corpus::Manifest manifest = corpus::read_manifest(options_.manifest, columns);
  const auto need = [&](bool needed, const std::string& column, const char* option) {
    if (needed) corpus::require_column(manifest, column, option);
  };
  need(hears(options_.inputs), options_.path_column, "dataset.path_column");
  need(reads(options_.inputs), options_.text_column, "dataset.text_column");
  need(one_split_, options_.split_column, "dataset.split_column");
  return manifest;
}

void SpeechTextDataset::read_rows() {
  corpus::Manifest manifest = read_table();
  const bool audio = hears(options_.inputs);
  const bool text = reads(options_.inputs);
  table_.header = manifest.table.header;
  std::size_t without_text = 0;
  for (std::size_t i = 0; i < manifest.rows.size(); ++i) {
    corpus::ManifestRow& row = manifest.rows[i];
    if (one_split_ && row.split != options_.split) continue;
    if (audio && corpus::blank(row.audio_path)) {
      throw DataError(fmt::format("{}:{}: no recording in column '{}'", options_.manifest, row.line,
                                  options_.path_column),
                      "this model hears: give each row a recording, or use a text model");
    }
    if (text && corpus::blank(row.text)) {
      ++without_text;
      continue;
    }
    const bool labelled = !corpus::blank(row.label);
    std::vector<std::int64_t> labels;
    if (labelled) labels = labels_of(row);
    rows_.push_back({std::move(row.audio_path), std::move(row.text), std::move(labels), labelled});
    table_.rows.push_back(std::move(manifest.table.rows[i]));
    table_.lines.push_back(manifest.table.lines[i]);
  }
  if (without_text > 0) {
    note("{}: {} rows without text left out of split '{}'", options_.manifest, without_text,
         options_.split);
  }
  if (rows_.empty()) {
    throw DataError(fmt::format("{}: split '{}' is empty", options_.manifest, options_.split),
                    fmt::format("the file has {} rows; look at its column '{}'",
                                manifest.rows.size(), options_.split_column));
  }
}

std::vector<std::int64_t> SpeechTextDataset::class_counts() const {
  std::vector<std::int64_t> counts(options_.classes.size());
  for (const Row& row : rows_) {
    for (const std::int64_t label : row.labels) ++counts[static_cast<std::size_t>(label)];
  }
  return counts;
}

std::int64_t SpeechTextDataset::unlabelled() const {
  return std::count_if(rows_.begin(), rows_.end(), [](const Row& row) { return !row.labelled; });
}

std::vector<std::int64_t> SpeechTextDataset::lengths() const {
  constexpr double kMilliseconds = 1000;
  const bool audio = hears(options_.inputs);
  std::vector<std::int64_t> lengths;
  for (const Row& row : rows_) {
    lengths.push_back(audio ? std::lround(audio::recorded_seconds(row.audio) * kMilliseconds)
                            : std::ssize(row.text));
  }
  return lengths;
}

at::Tensor SpeechTextDataset::log_mel(const std::string& path) const {
  const audio::Audio sound = audio::load_mono(path, options_.log_mel.rate);
  const audio::Frames frames = front_end_(sound.samples);
  at::Tensor tensor = at::empty({frames.frames, frames.mels});
  std::memcpy(tensor.data_ptr<float>(), frames.values.data(), frames.values.size() * sizeof(float));
  return tensor;
}

at::Tensor SpeechTextDataset::ngrams(const std::string& words) const {
  const std::string text = text::normalize(words, options_.normalize);
  const text::NgramOrders orders{options_.ngrams.max_n, options_.ngrams.max_words};
  const std::vector<std::int64_t> hashes =
      text::hashed_ngrams(text, orders, options_.ngrams.buckets);
  const std::int64_t n = orders.width();
  const std::int64_t positions = std::min<std::int64_t>(
      static_cast<std::int64_t>(hashes.size()) / n, options_.ngrams.max_length);
  at::Tensor tensor = at::empty({positions, n}, at::kLong);
  std::copy_n(hashes.data(), positions * n, tensor.data_ptr<std::int64_t>());
  return tensor;
}

at::Tensor SpeechTextDataset::cached(std::vector<at::Tensor>& cache, std::size_t index,
                                     const std::function<at::Tensor()>& compute) const {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (cache[index].defined()) return cache[index];
  }
  at::Tensor tensor = compute();
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::size_t bytes = tensor.nbytes();
  const bool fits = cached_bytes_ + bytes <= static_cast<std::size_t>(options_.cache_mb) << 20;
  if (fits && !cache[index].defined()) {
    cached_bytes_ += bytes;
    cache[index] = tensor;
  }
  return tensor;
}

data::Item SpeechTextDataset::get(std::int64_t index) const {
  const auto at = static_cast<std::size_t>(index);
  const Row& row = rows_.at(at);
  data::Item item;
  for (const Input input : options_.inputs) {
    switch (input) {
      case Input::kLogMel:
        item.set("log_mel", cached(log_mels_, at, [&] { return log_mel(row.audio); }));
        break;
      case Input::kNgrams:
        item.set("ngrams", cached(ngrams_, at, [&] { return ngrams(row.text); }));
        break;
      case Input::kInputValues:
        item.set("input_values", speech_->read(row.audio));
        break;
      case Input::kInputIds:
        item.set("input_ids", words_->read(row.text));
        break;
    }
  }
  item.set("label", label(row));
  return item;
}

std::vector<data::FrozenInput> SpeechTextDataset::frozen_inputs() const {
  std::vector<data::FrozenInput> inputs;
  if (!options_.frozen) return inputs;
  const PretrainedInputsOptions& encoders = options_.pretrained;
  if (speech_) {
    inputs.push_back({"input_values", "audio_hidden", encoders.audio_model, speech_->describe(),
                      encoders.audio_max_length});
  }
  if (words_) {
    inputs.push_back(
        {"input_ids", "text_hidden", encoders.text_model, "ids", encoders.text_max_length});
  }
  return inputs;
}

std::string SpeechTextDataset::content(const data::FrozenInput& input, std::int64_t row) const {
  if (input.input == "input_values")
    return read_file(rows_.at(static_cast<std::size_t>(row)).audio);
  // What a tokenizer makes of the text holds all that its files decide.
  const at::Tensor ids = encoder_input(input, row);
  return {static_cast<const char*>(ids.data_ptr()), ids.nbytes()};
}

at::Tensor SpeechTextDataset::encoder_input(const data::FrozenInput& input,
                                            std::int64_t row) const {
  const Row& content = rows_.at(static_cast<std::size_t>(row));
  return input.input == "input_values" ? speech_->read(content.audio) : words_->read(content.text);
}

data::Item SpeechTextDataset::bare_row(std::int64_t row) const {
  data::Item item;
  item.set("label", label(rows_.at(static_cast<std::size_t>(row))));
  return item;
}

POLYPHONY_REGISTER(data::Dataset, SpeechTextDataset, "polyphony.datasets.SpeechText",
                   "rows of a manifest of recordings and transcripts")

}  // namespace polyphony::datasets
