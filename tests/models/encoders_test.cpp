#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/models/log_mel_encoder.h>
#include <polyphony/models/ngram_encoder.h>

#include "models/batches.h"

namespace polyphony::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

LogMelEncoderOptions small_log_mel() {
  LogMelEncoderOptions options;
  options.mels = kMels;
  options.dims = 12;
  options.channels = 10;
  options.dropout = 0.0;
  return options;
}

NgramEncoderOptions small_ngrams() {
  NgramEncoderOptions options;
  options.buckets = 64;
  options.dims = 6;
  options.dropout = 0.0;
  options.idf = false;
  return options;
}

std::vector<std::shared_ptr<Encoder>> small_encoders() {
  at::manual_seed(1);
  LogMelEncoderOptions raw = small_log_mel();
  raw.normalize = false;
  return {std::make_shared<LogMelEncoder>(small_log_mel()), std::make_shared<LogMelEncoder>(raw),
          std::make_shared<NgramEncoder>(small_ngrams())};
}

/// A number that every value of an encoding moves.
at::Tensor summary(const Encoded& encoded) {
  return encoded.sequence.square().sum() + encoded.pooled.square().sum();
}

TEST(Encoders, PaddingDoesNotInfluenceResults) {
  for (const auto& encoder : small_encoders()) {
    for (const bool training : {true, false}) {
      encoder->train(training);
      const Encoded exact = encoder->encode(make_batch({33, 7, 40}, {5, 2, 9}, 40, 9));
      const Encoded padded = encoder->encode(make_batch({33, 7, 40}, {5, 2, 9}, 61, 17));
      EXPECT_LT(distance(exact.pooled, padded.pooled), 1e-5) << encoder->name() << training;
      EXPECT_TRUE(at::equal(exact.lengths, padded.lengths));
      const std::int64_t positions = exact.sequence.size(1);
      EXPECT_LT(distance(exact.sequence, padded.sequence.narrow(1, 0, positions)), 1e-5);
      const at::Tensor rest =
          padded.sequence.narrow(1, positions, padded.sequence.size(1) - positions);
      ASSERT_GT(rest.numel(), 0);
      EXPECT_EQ(rest.abs().max().item<double>(), 0.0);
    }
  }
}

TEST(Encoders, AnItemDoesNotDependOnItsNeighboursInEvaluation) {
  for (const auto& encoder : small_encoders()) {
    encoder->eval();
    const Encoded alone = encoder->encode(make_batch({33}, {5}, 33, 5));
    const Encoded together = encoder->encode(make_batch({33, 64}, {5, 12}, 64, 12));
    EXPECT_LT(distance(alone.pooled[0], together.pooled[0]), 1e-5) << encoder->name();
  }
}

TEST(Encoders, SequencesAreZeroBeyondTheirLengths) {
  for (const auto& encoder : small_encoders()) {
    const Encoded encoded = encoder->encode(make_batch({33, 8}, {5, 2}, 33, 5));
    EXPECT_EQ(encoded.sequence.size(2), encoder->dims());
    EXPECT_EQ(encoded.pooled.sizes(), (std::vector<std::int64_t>{2, encoder->dims()}));
    const std::int64_t real = encoded.lengths[1].item<std::int64_t>();
    EXPECT_GT(encoded.sequence[1].narrow(0, 0, real).abs().max().item<double>(), 0.0);
    EXPECT_EQ(encoded.sequence[1].slice(0, real).abs().max().item<double>(), 0.0);
  }
}

TEST(Encoders, LengthZeroGivesNumbersAndFiniteGradients) {
  for (const auto& encoder : small_encoders()) {
    for (const bool training : {true, false}) {
      encoder->train(training);
      for (const auto& batch : {make_batch({0, 20}, {0, 4}, 20, 4), make_batch({0}, {0}, 0, 0)}) {
        encoder->zero_grad();
        const Encoded encoded = encoder->encode(batch);
        EXPECT_TRUE(all_finite(encoded.sequence)) << encoder->name();
        EXPECT_TRUE(all_finite(encoded.pooled)) << encoder->name();
        EXPECT_EQ(encoded.lengths[0].item<std::int64_t>(), 0);
        EXPECT_GE(encoded.sequence.size(1), 1);
        summary(encoded).backward();
        for (const auto& item : encoder->named_parameters()) {
          const at::Tensor& gradient = item.value().grad();
          EXPECT_TRUE(!gradient.defined() || all_finite(gradient)) << item.key();
        }
      }
    }
    for (const auto& item : encoder->named_buffers()) {
      EXPECT_TRUE(all_finite(item.value())) << item.key();
    }
  }
}

TEST(Encoders, EveryParameterGetsAGradient) {
  for (const auto& encoder : small_encoders()) {
    summary(encoder->encode(make_batch({33, 7}, {5, 2}, 33, 5))).backward();
    for (const auto& item : encoder->named_parameters()) {
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      EXPECT_GT(item.value().grad().abs().max().item<double>(), 0.0) << item.key();
    }
  }
}

TEST(Encoders, AreBuiltByNameWithTheirDefaults) {
  for (const char* name : {"polyphony.models.LogMelEncoder", "polyphony.models.NgramEncoder"}) {
    const auto encoder = config::build<Encoder>(target(name), "model.encoder");
    EXPECT_GT(encoder->dims(), 0) << name;
    EXPECT_EQ(encoder->inputs().size(), 1U) << name;
  }
}

TEST(Encoders, OptionsOutOfRangeAreConfigErrorsThatNameThem) {
  config::Node node = target("polyphony.models.NgramEncoder");
  node.set("buckets", 1);
  try {
    config::build<Encoder>(node, "model.encoder");
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("buckets"));
    EXPECT_THAT(error.what(), HasSubstr("at least 2"));
  }
}

TEST(Encoders, AMissingInputIsADataErrorNamingWhatThereIs) {
  data::Batch batch;
  batch.set("tokens", at::ones({2, 3}));
  batch.set("label", at::zeros({2}, at::kLong));
  for (const auto& encoder : small_encoders()) {
    try {
      encoder->encode(batch);
      FAIL() << "no error";
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("'" + encoder->inputs().at(0) + "'"));
      EXPECT_THAT(error.what(), HasSubstr("tokens, label"));
      EXPECT_THAT(error.remedy(), HasSubstr("dataset.inputs"));
    }
  }
}

TEST(LogMelEncoder, FramesOfAnotherWidthAreADataError) {
  LogMelEncoderOptions options = small_log_mel();
  options.mels = kMels + 1;
  LogMelEncoder encoder(options);
  try {
    encoder.encode(make_batch({9}, {1}, 9, 1));
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'log_mel' is [1, 9, 8]"));
    EXPECT_THAT(error.remedy(), HasSubstr("mels"));
  }
}

TEST(LogMelEncoder, HasOnePositionForEightFrames) {
  LogMelEncoder encoder(small_log_mel());
  const Encoded encoded = encoder.encode(make_batch({1, 8, 9, 64}, {1, 1, 1, 1}, 64, 1));
  EXPECT_EQ(encoded.sequence.size(1), 8);
  EXPECT_TRUE(at::equal(encoded.lengths, at::tensor({1, 1, 2, 8}, at::kLong)));
}

TEST(LogMelEncoder, ConvolvesWithoutLoudnessWhereItNormalizes) {
  LogMelEncoder encoder(small_log_mel());
  encoder.eval();
  const data::Batch batch = make_batch({40}, {1}, 40, 1);
  data::Batch louder = batch;
  louder.set("log_mel", batch.at("log_mel") + 3.0);
  const Encoded plain = encoder.encode(batch);
  const Encoded raised = encoder.encode(louder);
  EXPECT_LT(distance(plain.sequence, raised.sequence), 1e-3);
  EXPECT_GT(distance(plain.pooled, raised.pooled), 1e-2);  // the statistics keep it
}

TEST(LogMelEncoder, MasksInTrainingOnly) {
  LogMelEncoderOptions options = small_log_mel();
  options.spec_augment.time_masks = 2;
  options.spec_augment.mel_masks = 2;
  LogMelEncoder encoder(options);
  const data::Batch batch = make_batch({40, 0, 21}, {1, 1, 1}, 40, 1);
  const at::Tensor first = encoder.encode(batch).sequence;
  EXPECT_TRUE(all_finite(first));
  EXPECT_FALSE(at::equal(first, encoder.encode(batch).sequence));
  encoder.eval();
  EXPECT_TRUE(at::equal(encoder.encode(batch).sequence, encoder.encode(batch).sequence));
}

TEST(LogMelEncoder, RunningStatisticsAreLearntInTraining) {
  LogMelEncoder encoder(small_log_mel());
  const data::Batch batch = make_batch({40, 21}, {1, 1}, 40, 1);
  encoder.eval();
  encoder.encode(batch);
  EXPECT_EQ(encoder.named_buffers()["running_mean"].abs().max().item<double>(), 0.0);
  encoder.train();
  encoder.encode(batch);
  EXPECT_GT(encoder.named_buffers()["running_mean"].abs().max().item<double>(), 0.0);
}

TEST(NgramEncoder, SumsTheVectorsOfNgramsWithBucketsTakenModulo) {
  NgramEncoder encoder(small_ngrams());
  data::Batch batch;
  // 63 rows besides padding: number 65 shares row 2.
  batch.set("ngrams", at::tensor({1, 2, 65, 0, 63, 64}, at::kLong).view({1, 3, 2}));
  batch.set("ngrams_length", at::tensor({3}, at::kLong));
  const Encoded encoded = encoder.encode(batch);
  const at::Tensor table = encoder.named_parameters()["table"];
  EXPECT_LT(distance(encoded.sequence[0][0], table[1] + table[2]), 1e-6);
  EXPECT_LT(distance(encoded.sequence[0][1], table[2]), 1e-6);
  EXPECT_LT(distance(encoded.sequence[0][2], table[63] + table[1]), 1e-6);
  EXPECT_LT(distance(encoded.pooled[0], encoded.sequence[0].sum(0) / std::sqrt(5.0)), 1e-6);
}

TEST(NgramEncoder, GradientCountsEachNgramAndSparesPadding) {
  NgramEncoder encoder(small_ngrams());
  data::Batch batch;
  batch.set("ngrams", at::tensor({7, 7, 3, 0, 7, 0}, at::kLong).view({1, 3, 2}));
  batch.set("ngrams_length", at::tensor({3}, at::kLong));
  const at::Tensor weight = at::arange(1, 4, at::kFloat).view({1, 3, 1});
  (encoder.encode(batch).sequence * weight).sum().backward();
  at::Tensor want = at::zeros({64, 6});
  want[7].fill_(1.0 + 1.0 + 3.0);
  want[3].fill_(2.0);
  EXPECT_TRUE(at::equal(encoder.named_parameters()["table"].grad(), want));
}

TEST(NgramEncoder, WeighsRareNgramsMoreOnceItHasSeenTexts) {
  NgramEncoderOptions options = small_ngrams();
  options.idf = true;
  NgramEncoder encoder(options);
  data::Batch batch;  // n-gram 7 stands in all three texts (twice in the first), 3 in one
  batch.set("ngrams", at::tensor({7, 7, 7, 3, 7, 5}, at::kLong).view({3, 1, 2}));
  batch.set("ngrams_length", at::tensor({1, 1, 1}, at::kLong));
  encoder.encode(batch);
  encoder.eval();
  const Encoded encoded = encoder.encode(batch);
  const at::Tensor table = encoder.named_parameters()["table"];
  const double rare = std::log(4.0 / 2.0) + 1;  // scikit-learn's smooth idf; of 7 it is 1
  EXPECT_LT(distance(encoded.sequence[1][0], table[7] + rare * table[3]), 1e-6);
  EXPECT_LT(distance(encoded.pooled[1], encoded.sequence[1][0] / std::sqrt(1 + rare * rare)), 1e-6);
  const at::Tensor counts = encoder.named_buffers()["texts_with"];
  EXPECT_EQ(counts[7].item<float>(), 3.0F);
  EXPECT_EQ(counts[3].item<float>(), 1.0F);
}

TEST(NgramEncoder, DropoutKeepsTheScaleAndIsForTrainingOnly) {
  NgramEncoderOptions options = small_ngrams();
  options.dropout = 0.5;
  NgramEncoder encoder(options);
  const data::Batch batch = make_batch({1}, {200}, 1, 200);
  EXPECT_FALSE(at::equal(encoder.encode(batch).sequence, encoder.encode(batch).sequence));
  const at::Tensor kept = encoder.encode(batch).sequence;
  encoder.eval();
  const at::Tensor whole = encoder.encode(batch).sequence;
  EXPECT_TRUE(at::equal(whole, encoder.encode(batch).sequence));
  EXPECT_LT(distance(kept.mean(), whole.mean()), 0.02);
}

TEST(NgramEncoder, NgramsWithoutPositionsAreADataError) {
  NgramEncoder encoder(small_ngrams());
  data::Batch batch;
  batch.set("ngrams", at::ones({2, 3}, at::kLong));
  try {
    encoder.encode(batch);
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("has 2 dimensions"));
  }
}

}  // namespace
}  // namespace polyphony::models
