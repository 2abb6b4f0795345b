#include <polyphony/datasets/pretrained_inputs.h>

#include <algorithm>

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <polyphony/audio/decode.h>
#include <polyphony/base/error.h>
#include <polyphony/hub/snapshot.h>

namespace polyphony::datasets {
namespace {

hub::SnapshotOptions files(std::vector<std::string> patterns) {
  hub::SnapshotOptions options;
  options.wanted.patterns = std::move(patterns);
  return options;
}

hub::SnapshotOptions tokenizer_files() {
  hub::SnapshotOptions options;
  options.wanted = hub::tokenizer_files();
  return options;
}

}  // namespace

void PretrainedInputsOptions::describe(config::Fields& f) {
  f("audio_model", audio_model, "input_values: whose feature extractor; folder or hub");
  f("text_model", text_model, "input_ids: whose tokenizer; folder or hub");
  f("audio_max_length", audio_max_length, "samples kept of a recording, at 16 kHz");
  f.check("audio_max_length", audio_max_length >= 1, "at least 1");
  f("text_max_length", text_max_length, "tokens kept of a text");
  f.check("text_max_length", text_max_length >= 3, "at least 3");
  f("cleaning", cleaning,
    "kemdy19: all but Latin, Hangul, digits and .!? becomes a blank, before the tokenizer");
}

SpeechInput::SpeechInput(const std::string& model, std::int64_t max_length)
    : config_(audio::read_feature_extractor_config(
          hub::snapshot(model, files({"preprocessor_config.json"})))),
      max_length_(max_length) {}

at::Tensor SpeechInput::read(const std::filesystem::path& recording) const {
  std::vector<float> samples =
      audio::extract_one(audio::load_mono(recording, config_.sampling_rate, max_length_).samples,
                         config_, max_length_);
  at::Tensor tensor = at::empty({std::ssize(samples)});
  std::copy(samples.begin(), samples.end(), tensor.data_ptr<float>());
  return tensor;
}

std::string SpeechInput::describe() const {
  return fmt::format("rate {} normalize {} mask {} padding {} length {}", config_.sampling_rate,
                     config_.do_normalize, config_.return_attention_mask, config_.padding_value,
                     max_length_);
}

TextInput::TextInput(const std::string& model, std::int64_t max_length, text::Cleaning cleaning)
    : tokenizer_(text::Tokenizer::from_pretrained(hub::snapshot(model, tokenizer_files()))),
      options_(tokenizer_.options_of_length(static_cast<std::size_t>(max_length))),
      cleaning_(cleaning) {
  options_.padding.strategy = text::PaddingStrategy::kDoNotPad;
}

at::Tensor TextInput::read(const std::string& text) const {
  const text::Encoding encoding = cleaning_ == text::Cleaning::kKemdy19
                                      ? tokenizer_.encode(text::clean_kemdy19(text), options_)
                                      : tokenizer_.encode(text, options_);
  at::Tensor tensor = at::empty({std::ssize(encoding.ids)}, at::kLong);
  std::copy(encoding.ids.begin(), encoding.ids.end(), tensor.data_ptr<std::int64_t>());
  return tensor;
}

}  // namespace polyphony::datasets
