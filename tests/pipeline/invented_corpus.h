#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include <tone.h>

#include <polyphony/base/files.h>

namespace polyphony {

/// A made-up corpus in the layout of KEMDy19: the rows of trees/rows/make (12 train, 6 val, 7
/// test), each with a tone of a quarter of a second or longer.
inline void write_invented_corpus(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  const fs::path rows = fs::path(POLYPHONY_TEST_DIR) / "pipeline/trees/rows";
  for (const char* split : {"train", "val", "test"}) {
    const std::string file = std::string("path_") + split + ".pkl";
    fs::create_directories(folder / "path_data");
    fs::copy_file(rows / file, folder / "path_data" / file);
  }
  for (int i = 0; i < 25; ++i) {
    const std::string session = i % 2 == 0 ? "01" : "02";
    const std::string number = (i < 10 ? "0" : "") + std::to_string(i);
    write_tone(folder / ("KEMDy19/wav/Session" + session) / ("Sess" + session + "_script01") /
                   ("u" + number + ".wav"),
               200 + 60 * (i % 7), static_cast<std::uint32_t>(4000 + 100 * i));
  }
}

/// FOLDER/speech and FOLDER/words: tiny encoders as the hub has them. The text encoder is RoBERTa
/// with BERT's tokenizer, as KLUE's.
inline void write_tiny_encoders(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  const fs::path golden = fs::path(POLYPHONY_TEST_DIR) / "golden/hf";
  for (const auto& [name, from] :
       {std::pair{"speech", "hubert_stable_masked"}, {"words", "roberta_masked"}}) {
    fs::create_directories(folder / name);
    for (const char* file : {"config.json", "pytorch_model.bin"}) {
      fs::copy_file(golden / from / file, folder / name / file);
    }
  }
  fs::copy_file(
      fs::path(POLYPHONY_SOURCE_DIR) / "examples/tiny_encoders/hubert/preprocessor_config.json",
      folder / "speech/preprocessor_config.json");
  std::string vocabulary = "[CLS]\n[PAD]\n[SEP]\n[UNK]\n[MASK]\n.\n아\n";
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    vocabulary += std::string(1, letter) + "\n##" + letter + "\n";
  }
  write_file(folder / "words/vocab.txt", vocabulary);
  write_file(folder / "words/tokenizer_config.json",
             R"({"tokenizer_class": "BertTokenizer", "do_lower_case": false})");
}

}  // namespace polyphony
