// Rows of several classes behind frozen encoders, with `polyphony train`: embedded once, then read.
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <process.h>
#include <scratch.h>
#include <tone.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/files.h>
#include <polyphony/base/npy.h>
#include <polyphony/models/sequence_classifier.h>

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// A tiny encoder with drawn weights, as a folder in Hugging Face's layout.
void write_encoder(const std::string& name, const fs::path& folder) {
  models::SequenceClassifierOptions options;
  options.pretrained_model = std::string(POLYPHONY_SOURCE_DIR) + "/examples/tiny_encoders/" + name;
  options.weights = models::InitialWeights::kRandom;
  models::SequenceClassifier(options).save_pretrained(folder);
}

const char* const kExperiment = R"(# @package _global_
defaults:
  - override /dataset: fillets_embeddings
  - override /task: fusion_of_states

run_name: frozen
num_labels: 3
text_max_length: 20
pretrained_audio: hubert
pretrained_text: bert
epochs: 2
monitor: val_MultilabelF1Score
dataset:
  manifest: rows.csv
  multi_label: true
  classes: [low, middle, high]
)";

const char* const kTask = R"(defaults:
  - /metrics@metrics: multilabel
  - _self_

_target_: polyphony.tasks.Classification
num_labels: ${num_labels}
multi_label: true
model:
  _target_: polyphony.models.MultiModalTransformer
  model_dims: 16
  num_heads: 2
  num_layers: 1
  audio_dims: 32
  text_dims: 32
  num_labels: ${num_labels}
)";

class FrozenRows : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(base_);
    fs::create_directories(base_ / "experiment");
    fs::create_directories(base_ / "task");
    write_encoder("hubert", base_ / "hubert");
    write_encoder("bert", base_ / "bert");
    std::string rows = "audio_path,text,label,split\n";
    const char* const labels[] = {"low", "middle|high", "|", "high"};
    for (int i = 0; i < 12; ++i) {
      const std::string name = "tone" + std::to_string(i) + ".wav";
      write_tone(base_ / name, 200.0 + 100 * (i % 4) + i, 4000);
      rows += name + ",word " + std::string(static_cast<std::size_t>(i + 1), 'a') + "," +
              labels[i % 4] +
              (i < 4   ? ",train\n"
               : i < 8 ? ",val\n"
                       : ",test\n");
    }
    write_file(base_ / "rows.csv", rows);
    write_file(base_ / "experiment/frozen.yaml", std::string_view(kExperiment));
    write_file(base_ / "task/fusion_of_states.yaml", std::string_view(kTask));
  }

  /// @param before  words of a program that is to start it
  Finished train(const std::string& run, std::vector<std::string> before = {}) const {
    Program program;
    program.command = std::move(before);
    program.command.insert(
        program.command.end(),
        {POLYPHONY_BINARY, "train", "--config-path", std::string(POLYPHONY_SOURCE_DIR) + "/configs",
         "--config-dir", base_.string(), "experiment=frozen", "num_threads=1",
         "hydra.run.dir=" + run, "embeddings.directory=cache"});
    program.directory = base_;
    program.environment = {{"POLYPHONY_STORE", (base_ / "runs.db").string()}};
    return program.run();
  }

  std::vector<fs::path> shards() const {
    std::vector<fs::path> paths;
    for (const auto& file : fs::directory_iterator(base_ / "cache")) {
      if (file.path().extension() == ".safetensors") paths.push_back(file.path());
    }
    return paths;
  }
  std::vector<float> logits(const std::string& run) const {
    return load_npy(base_ / run / "predictions/test.npy").values;
  }

  fs::path base_ = scratch_directory() / "frozen";
};

TEST_F(FrozenRows, AreEmbeddedOnceAndTrainedOn) {
  const Finished first = train("first");
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;
  EXPECT_THAT(first.out, HasSubstr("embeddings: train audio_hidden: 4 rows, 4 computed"));
  EXPECT_THAT(first.out, HasSubstr("embeddings: test text_hidden: 4 rows, 4 computed"));
  EXPECT_THAT(first.out, HasSubstr("test_MultilabelF1Score"));
  const Finished second = train("second");
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.out, HasSubstr("embeddings: train audio_hidden: 4 rows, 0 computed"));
  const NpyArray logits = load_npy(base_ / "first/predictions/test.npy");
  EXPECT_EQ(logits.shape, (std::vector<std::int64_t>{4, 3}));
  EXPECT_EQ(logits.values, load_npy(base_ / "second/predictions/test.npy").values);
  EXPECT_EQ(read_csv(base_ / "first/predictions/test.csv").header.back(), "prediction");
}

TEST_F(FrozenRows, AChangedByteInTheirCacheIsComputedAgain) {
  ASSERT_EQ(train("first").exit_code, 0);
  for (const fs::path& shard : shards()) {
    std::string bytes = read_file(shard);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    write_file(shard, std::string_view(bytes));
  }
  const Finished second = train("second");
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, HasSubstr("what is lost is computed again\n"));
  EXPECT_EQ(logits("second"), logits("first"));
  const Finished third = train("third");
  ASSERT_EQ(third.exit_code, 0) << third.err;
  EXPECT_THAT(third.err, testing::Not(HasSubstr("warning: ")));
  EXPECT_EQ(logits("third"), logits("first"));
}

TEST_F(FrozenRows, ACacheThatCanOnlyBeReadIsRead) {
  ASSERT_EQ(train("first").exit_code, 0);
  fs::remove(shards().front());
  const std::size_t left = shards().size();
  // Read-only for root, too.
  const std::vector<std::string> mounted = {
      "unshare",
      "--mount",
      "sh",
      "-c",
      "mount --bind cache cache && mount -o remount,bind,ro cache && exec \"$@\" || exit 77",
      "sh"};
  std::vector<std::string> probe = mounted;
  probe.emplace_back("true");
  if (Program{probe, base_}.run().exit_code != 0) GTEST_SKIP() << "nothing can be mounted here";
  const Finished second = train("second", mounted);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  constexpr std::string_view kTold = "cannot be written to: what is missing there is computed";
  EXPECT_NE(second.err.find(kTold), std::string::npos) << second.err;
  EXPECT_EQ(second.err.find(kTold), second.err.rfind(kTold)) << second.err;
  EXPECT_EQ(logits("second"), logits("first"));
  EXPECT_EQ(shards().size(), left);
}

}  // namespace
}  // namespace polyphony
