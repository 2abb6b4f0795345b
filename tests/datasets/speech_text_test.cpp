// Rows of a manifest: one label or several, and what pretrained encoders read.
#include <polyphony/datasets/speech_text.h>

#include <filesystem>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/data/loader.h>

#include "datasets/recordings.h"
#include "scratch.h"

namespace polyphony::datasets {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kEncoders = std::string(POLYPHONY_SOURCE_DIR) + "/examples/tiny_encoders";

/// A dataset on a manifest of these lines, classes a, b and c.
std::unique_ptr<data::Dataset> rows(const std::string& lines, const std::string& options) {
  const fs::path manifest = scratch_directory() / "rows.csv";
  write_file(manifest, std::string_view(lines));
  return config::build<data::Dataset>(
      config::parse_yaml("_target_: polyphony.datasets.SpeechText\nmanifest: " + manifest.string() +
                             "\nsplit: ''\nclasses: [a, b, c]\n" + options,
                         "dataset.yaml"),
      "dataset");
}

std::vector<float> label_of(const data::Dataset& dataset, std::int64_t row) {
  const at::Tensor label = dataset.get(row).at("label");
  EXPECT_EQ(label.scalar_type(), at::kFloat);
  return {label.data_ptr<float>(), label.data_ptr<float>() + label.numel()};
}

const std::string kNgrams = "inputs: [ngrams]\n";

TEST(SpeechText, ACellNamesSeveralClassesBetweenSeparators) {
  const auto dataset = rows("text,label\none,a|c\ntwo,b\nthree,|\nfour,\nfive, c | 1 |c|\n",
                            kNgrams + "multi_label: true\n");
  EXPECT_TRUE(dataset->multi_label());
  EXPECT_THAT(label_of(*dataset, 0), ElementsAre(1, 0, 1));
  EXPECT_THAT(label_of(*dataset, 1), ElementsAre(0, 1, 0));
  EXPECT_THAT(label_of(*dataset, 2), ElementsAre(0, 0, 0));
  EXPECT_THAT(label_of(*dataset, 4), ElementsAre(0, 1, 1));
  EXPECT_THAT(dataset->class_counts(), ElementsAre(1, 2, 2));
  EXPECT_EQ(dataset->unlabelled(), 1);
}

TEST(SpeechText, TheSeparatorIsTheUsers) {
  const auto dataset = rows("text,label\none,\"a, c\"\ntwo,b\n",
                            kNgrams + "multi_label: true\nlabel_separator: ','\n");
  EXPECT_THAT(label_of(*dataset, 0), ElementsAre(1, 0, 1));
  EXPECT_EQ(dataset->unlabelled(), 0);
}

TEST(SpeechText, BatchesHaveALabelForEachClass) {
  const auto dataset = rows("text,label\none,a|c\ntwo two,b\n", kNgrams + "multi_label: true\n");
  data::Loader loader(*dataset, {});
  loader.start(0);
  const at::Tensor label = loader.next()->at("label");
  EXPECT_TRUE(at::equal(label, at::tensor({1.0F, 0.0F, 1.0F, 0.0F, 1.0F, 0.0F}).view({2, 3})));
}

TEST(SpeechText, OneLabelARowStaysANumber) {
  const auto dataset = rows("text,label\none,c\ntwo,1\nthree,\n", kNgrams);
  EXPECT_FALSE(dataset->multi_label());
  EXPECT_EQ(dataset->get(0).at("label").item<std::int64_t>(), 2);
  EXPECT_EQ(dataset->get(1).at("label").item<std::int64_t>(), 1);
  EXPECT_EQ(dataset->get(2).at("label").item<std::int64_t>(), -1);
  EXPECT_THAT(dataset->class_counts(), ElementsAre(0, 1, 1));
  EXPECT_EQ(dataset->unlabelled(), 1);
}

std::string complaint(const std::string& lines, const std::string& options) {
  try {
    rows(lines, options);
  } catch (const Error& error) {
    return std::string(error.what()) + " / " + error.remedy();
  }
  ADD_FAILURE() << options << "was taken";
  return "";
}

TEST(SpeechText, RefusesLabelsThatAreNone) {
  const std::string several = kNgrams + "multi_label: true\n";
  EXPECT_THAT(complaint("text,label\none,a|d\n", several),
              AllOf(HasSubstr("rows.csv:2: label 'd' is out of range"), HasSubstr("a, b, c")));
  EXPECT_THAT(complaint("text,label\none,a;b\n", several),
              AllOf(HasSubstr("label 'a;b' is out of range"), HasSubstr("label_separator")));
  EXPECT_THAT(complaint("text,label\none,a|3\n", several), HasSubstr("label '3' is out of range"));
  EXPECT_THAT(complaint("text,label\none,a|b\n", kNgrams),
              AllOf(HasSubstr("label 'a|b' is out of range"), HasSubstr("dataset.multi_label")));
  EXPECT_THAT(complaint("text,label\none,a\n", several + "label_separator: ' '\n"),
              HasSubstr("dataset.label_separator: option of polyphony.datasets.SpeechText must be "
                        "not blank"));
  EXPECT_THAT(complaint("text,label\none,a\n", several + "label_separator: a\n"),
              HasSubstr("dataset.classes: 'a' holds the separator 'a'"));
}

TEST(SpeechText, KnowsHowLongRowsAre) {
  EXPECT_THAT(rows("text,label\nfour,a\nseven7,b\n", kNgrams)->lengths(), ElementsAre(4, 6));
  for (const std::uint32_t samples : {8000U, 4000U}) {
    write_tone(scratch_directory() / (std::to_string(samples) + ".wav"), samples);
  }
  const auto heard = rows("audio_path,label\n8000.wav,a\n4000.wav,b\n", "inputs: [log_mel]\n");
  EXPECT_THAT(heard->lengths(), ElementsAre(500, 250));
}

TEST(SpeechText, LengthBucketsTakeItsRows) {
  std::string lines = "text,label\n";
  for (int i = 0; i < 12; ++i) lines += std::string(i % 2 == 0 ? 1 : 30, 'x') + ",a\n";
  const auto dataset = rows(lines, kNgrams);
  data::LoaderOptions options;
  options.batch_size = 3;
  options.shuffle = true;
  options.length_buckets = 4;
  data::Loader loader(*dataset, options);
  loader.start(0);
  while (const auto batch = loader.next()) {
    const at::Tensor lengths = batch->at("ngrams_length");
    EXPECT_EQ(lengths.min().item<std::int64_t>(), lengths.max().item<std::int64_t>());
  }
}

TEST(SpeechText, GivesWhatPretrainedEncodersReadAndHowLongItIs) {
  write_tone(scratch_directory() / "long.wav", 8000);
  write_tone(scratch_directory() / "short.wav", 4000);
  const auto dataset = rows("audio_path,text,label\nlong.wav,word small,a|b\nshort.wav,word,c\n",
                            "inputs: [input_values, input_ids]\nmulti_label: true\npretrained:\n"
                            "  audio_model: " +
                                kEncoders + "/hubert\n  text_model: " + kEncoders +
                                "/bert\n  audio_max_length: 6000\n");
  data::Loader loader(*dataset, {});
  loader.start(0);
  const data::Batch batch = *loader.next();
  EXPECT_EQ(batch.at("input_values").sizes(), at::IntArrayRef({2, 6000}));
  EXPECT_TRUE(at::equal(batch.at("input_values_length"), at::tensor({6000, 4000}, at::kLong)));
  EXPECT_EQ(batch.at("input_ids").sizes(), at::IntArrayRef({2, 11}));
  EXPECT_TRUE(at::equal(batch.at("input_ids_length"), at::tensor({11, 6}, at::kLong)));
  const at::Tensor real = batch.at("input_values")[1].narrow(0, 0, 4000);
  EXPECT_NEAR(real.mean().item<double>(), 0.0, 1e-4);
  EXPECT_NEAR(real.var(false).item<double>(), 1.0, 1e-3);
  EXPECT_EQ(batch.at("label").sizes(), at::IntArrayRef({2, 3}));
}

TEST(SpeechText, InputsOfEncodersNeedAModel) {
  EXPECT_THAT(complaint("text,label\none,a\n", "inputs: [input_ids]\n"),
              HasSubstr("dataset.pretrained.text_model: must be given for input_ids"));
}

}  // namespace
}  // namespace polyphony::datasets
