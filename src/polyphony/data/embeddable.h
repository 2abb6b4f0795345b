#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <polyphony/data/dataset.h>

namespace polyphony::data {

/// An input of a dataset's rows, and the frozen encoder that is to turn it into hidden states.
struct FrozenInput {
  std::string input;             ///< "input_values" (speech) or "input_ids" (text)
  std::string output;            ///< what a batch calls the hidden states: "audio_hidden"
  std::string pretrained_model;  ///< folder, or name of the hub
  /// All that decides, beside a row's content and the encoder, what the encoder reads.
  std::string preprocessing;
  std::int64_t max_length = 0;  ///< samples or tokens at most
};

/// A dataset whose rows frozen encoders can embed, once.
class Embeddable {
 public:
  virtual ~Embeddable() = default;

  /// Empty where no input is to be embedded.
  virtual std::vector<FrozenInput> frozen_inputs() const = 0;
  /// The bytes of the row's recording, or its text as the dataset has it.
  virtual std::string content(const FrozenInput& input, std::int64_t row) const = 0;
  /// What the encoder reads: float [samples] or int64 [tokens], without padding.
  virtual at::Tensor encoder_input(const FrozenInput& input, std::int64_t row) const = 0;
  /// The row without its encoder inputs: "label".
  virtual Item bare_row(std::int64_t row) const = 0;
};

}  // namespace polyphony::data
