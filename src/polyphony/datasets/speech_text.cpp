#include <polyphony/datasets/speech_text.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <polyphony/audio/decode.h>
#include <polyphony/base/error.h>
#include <polyphony/base/nearest.h>
#include <polyphony/config/registry.h>
#include <polyphony/text/ngrams.h>

namespace polyphony::datasets {
namespace fs = std::filesystem;
namespace {

bool wants(const std::vector<Input>& inputs, Input input) {
  return std::find(inputs.begin(), inputs.end(), input) != inputs.end();
}

/// Index of a column. @throws DataError naming the columns there are
std::size_t column(const CsvTable& table, const std::string& name, const std::string& file,
                   const char* option) {
  const auto found = std::find(table.header.begin(), table.header.end(), name);
  if (found != table.header.end()) return static_cast<std::size_t>(found - table.header.begin());
  const std::string nearest = base::nearest(name, table.header);
  throw DataError(
      fmt::format("{}: no column '{}'", file, name),
      fmt::format("set dataset.{} to one of: {}{}", option, fmt::join(table.header, ", "),
                  nearest.empty() ? "" : " (nearest: " + nearest + ")"));
}

bool blank(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isspace(c) != 0; });
}

}  // namespace

void NgramOptions::describe(config::Fields& f) {
  f("max_n", max_n, "longest n-gram, in code points");
  f.check("max_n", max_n >= 1 && max_n <= 8, "between 1 and 8");
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
  f("label_column", label_column, "column of the label: a class name or its number from 0");
  f.required("classes", classes, "class names in label order");
  f.check("classes", classes.size() >= 2, "at least two names");
  f.required("inputs", inputs, "what the model reads: log_mel, ngrams");
  f.check("inputs", !inputs.empty(), "at least one of log_mel, ngrams");
  f("log_mel", log_mel, "front-end of the audio");
  f("normalize", normalize, "normalisation of the text");
  f("ngrams", ngrams, "hashed character n-grams of the text");
  f("cache_mb", cache_mb, "memory for computed log-mel frames, in MiB");
}

SpeechTextDataset::SpeechTextDataset(Options options)
    : options_(std::move(options)), front_end_(options_.log_mel) {
  constexpr std::string_view kSplit = "{split}";
  if (const std::size_t at = options_.manifest.find(kSplit); at != std::string::npos) {
    options_.manifest.replace(at, kSplit.size(), options_.split);
    split_is_file_ = true;
  }
  read_rows();
  cache_.resize(rows_.size());
}

std::int64_t SpeechTextDataset::label_of(const std::string& cell, std::size_t line) const {
  if (blank(cell)) return -1;
  const auto& classes = options_.classes;
  const auto found = std::find(classes.begin(), classes.end(), cell);
  if (found != classes.end()) return found - classes.begin();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  const bool whole = error == std::errc{} && end == cell.data() + cell.size();
  if (whole && number >= 0 && number < static_cast<std::int64_t>(classes.size())) return number;
  throw DataError(fmt::format("{}:{}: label '{}' is out of range", options_.manifest, line, cell),
                  fmt::format("labels are 0 to {} or one of: {}; see dataset.classes",
                              classes.size() - 1, fmt::join(classes, ", ")));
}

void SpeechTextDataset::read_rows() {
  const CsvTable all = read_csv(options_.manifest);
  table_.header = all.header;
  const bool audio = wants(options_.inputs, Input::kLogMel);
  const bool text = wants(options_.inputs, Input::kNgrams);
  const auto index = [&](const std::string& name, const char* option) {
    return column(all, name, options_.manifest, option);
  };
  const std::size_t label = index(options_.label_column, "label_column");
  const std::size_t path = audio ? index(options_.path_column, "path_column") : 0;
  const std::size_t words = text ? index(options_.text_column, "text_column") : 0;
  const bool splits = !split_is_file_ && !options_.split.empty();
  const std::size_t split = splits ? index(options_.split_column, "split_column") : 0;
  const fs::path base = fs::path(options_.manifest).parent_path();
  std::size_t without_text = 0;
  for (std::size_t i = 0; i < all.rows.size(); ++i) {
    const std::vector<std::string>& cells = all.rows[i];
    if (splits && cells[split] != options_.split) continue;
    Row row;
    row.line = all.lines[i];
    row.label = label_of(cells[label], row.line);
    if (audio) {
      if (blank(cells[path])) {
        throw DataError(fmt::format("{}:{}: no recording in column '{}'", options_.manifest,
                                    row.line, options_.path_column),
                        "this model hears: give each row a recording, or use a text model");
      }
      row.audio = base / cells[path];
    }
    if (text && blank(cells[words])) {
      ++without_text;
      continue;
    }
    if (text) row.text = cells[words];
    rows_.push_back(std::move(row));
    table_.rows.push_back(cells);
    table_.lines.push_back(all.lines[i]);
  }
  if (without_text > 0) {
    fmt::print(stderr, "{}: {} rows without text left out of split '{}'\n", options_.manifest,
               without_text, options_.split);
  }
  if (rows_.empty()) {
    throw DataError(fmt::format("{}: split '{}' is empty", options_.manifest, options_.split),
                    fmt::format("the file has {} rows; look at its column '{}'", all.rows.size(),
                                options_.split_column));
  }
}

std::vector<std::int64_t> SpeechTextDataset::class_counts() const {
  std::vector<std::int64_t> counts(options_.classes.size());
  for (const Row& row : rows_) {
    if (row.label >= 0) ++counts[static_cast<std::size_t>(row.label)];
  }
  return counts;
}

at::Tensor SpeechTextDataset::log_mel(const Row& row, std::size_t index) const {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (cache_[index].defined()) return cache_[index];
  }
  const audio::Audio sound = audio::load_mono(row.audio, options_.log_mel.rate);
  const audio::Frames frames = front_end_(sound.samples);
  at::Tensor tensor = at::empty({frames.frames, frames.mels});
  std::memcpy(tensor.data_ptr<float>(), frames.values.data(), frames.values.size() * sizeof(float));
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::size_t bytes = frames.values.size() * sizeof(float);
  if (cached_bytes_ + bytes <= static_cast<std::size_t>(options_.cache_mb) << 20) {
    if (!cache_[index].defined()) cached_bytes_ += bytes;
    cache_[index] = tensor;
  }
  return tensor;
}

at::Tensor SpeechTextDataset::ngrams(const Row& row) const {
  const std::string text = text::normalize(row.text, options_.normalize);
  const std::vector<std::int64_t> hashes =
      text::hashed_ngrams(text, options_.ngrams.max_n, options_.ngrams.buckets);
  const std::int64_t n = options_.ngrams.max_n;
  const std::int64_t positions = std::min<std::int64_t>(
      static_cast<std::int64_t>(hashes.size()) / n, options_.ngrams.max_length);
  at::Tensor tensor = at::empty({positions, n}, at::kLong);
  std::copy_n(hashes.data(), positions * n, tensor.data_ptr<std::int64_t>());
  return tensor;
}

data::Item SpeechTextDataset::get(std::int64_t index) const {
  const auto at = static_cast<std::size_t>(index);
  const Row& row = rows_.at(at);
  data::Item item;
  for (const Input input : options_.inputs) {
    if (input == Input::kLogMel) item.set("log_mel", log_mel(row, at));
    if (input == Input::kNgrams) item.set("ngrams", ngrams(row));
  }
  item.set("label", at::scalar_tensor(row.label, at::kLong));
  return item;
}

POLYPHONY_REGISTER(data::Dataset, SpeechTextDataset, "polyphony.datasets.SpeechText",
                   "rows of a manifest of recordings and transcripts")

}  // namespace polyphony::datasets
