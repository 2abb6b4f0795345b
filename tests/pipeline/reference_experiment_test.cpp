// The original's whole experiment with the program itself, on tiny encoders and a small corpus.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <process.h>
#include <scratch.h>
#include <tone.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/csv.h>
#include <polyphony/base/files.h>
#include <polyphony/base/npy.h>
#include <polyphony/tensor/safetensors.h>

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

/// Thirty recordings in three pitches with three kinds of words: 18 train, 6 val, 6 test.
void write_corpus(const fs::path& folder) {
  std::string manifest = "audio_path,text,label,split\n";
  for (int i = 0; i < 30; ++i) {
    const std::string name = "tone" + std::to_string(i) + ".wav";
    write_tone(folder / name, 200.0 + 300 * (i % 3) + i, 16000 / 5);
    const char* kinds[] = {"small", "big", "other"};
    manifest += name + "," + std::string(static_cast<std::size_t>(i / 3 % 4 + 1), "abc"[i % 3]) +
                " word " + std::to_string(i) + "," + kinds[i % 3] + "," +
                (i < 18   ? "train"
                 : i < 24 ? "val"
                          : "test") +
                "\n";
  }
  write_file(folder / "manifest.csv", manifest);
}

class ReferenceExperimentSlow : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = scratch_directory() / "reference";
    fs::remove_all(base_);
    write_corpus(base_ / "corpus");
    fs::create_directories(base_ / "work" / "logs");
  }

  /// Runs a verb on the shipped configuration.
  Finished run(std::vector<std::string> words) {
    Program program;
    program.command = {POLYPHONY_BINARY};
    for (std::string& word : words) program.command.push_back(std::move(word));
    for (const std::string& word :
         {"--config-path=" + std::string(POLYPHONY_SOURCE_DIR) + "/configs",
          "connected_dir=" + (base_ / "connected").string(),
          "hydra.run.dir=" + (base_ / "work" / "logs" / std::to_string(runs_++)).string()}) {
      program.command.push_back(word);
    }
    program.directory = base_ / "work";
    program.environment = {{"POLYPHONY_CACHE", (base_ / "cache").string()}};
    return program.run();
  }

  /// `polyphony resume`.
  Finished resume(std::vector<std::string> words) {
    Program program;
    program.command = {POLYPHONY_BINARY, "resume"};
    for (std::string& word : words) program.command.push_back(std::move(word));
    program.directory = base_ / "work";
    program.environment = {{"POLYPHONY_CACHE", (base_ / "cache").string()}};
    return program.run();
  }

  std::vector<std::string> with_data(std::vector<std::string> words) const {
    words.push_back("dataset.manifest=" + (base_ / "corpus" / "manifest.csv").string());
    words.push_back("num_threads=1");
    words.push_back("batch_size=6");
    return words;
  }

  Finished unimodal(const std::string& mode, const std::vector<std::string>& more = {}) {
    const std::string encoders = std::string(POLYPHONY_SOURCE_DIR) + "/examples/tiny_encoders";
    std::vector<std::string> words = {
        "unimodal",
        "mode=" + mode,
        mode == "audio" ? "dataset=fillets_audio" : "dataset=fillets_words",
        "audio_pretrained_model_name=" + encoders + "/hubert",
        "text_pretrained_model_name=" + encoders + "/bert",
        "epoch=2"};
    for (const std::string& word : more) words.push_back(word);
    return run(with_data(words));
  }

  Finished multimodal(const std::string& mode, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {mode == "embed" ? "embed" : "multimodal", "audio_step=6",
                                      "text_step=6", "epoch=2"};
    if (mode != "embed") words.push_back("mode=" + mode);
    for (const std::string& word : more) words.push_back(word);
    return run(with_data(words));
  }

  fs::path connected(const std::string& name) const { return base_ / "connected" / name; }

  fs::path base_;
  int runs_ = 0;
};

TEST_F(ReferenceExperimentSlow, RunsFromFineTuningToVoting) {
  for (const std::string mode : {"audio", "text"}) {
    const Finished tuned = unimodal(mode);
    ASSERT_EQ(tuned.exit_code, 0) << tuned.out << tuned.err;
    EXPECT_THAT(tuned.out, HasSubstr("test_accuracy"));
    EXPECT_EQ(load_npy(connected("preds/unimodal/" + mode + ".npy")).shape,
              (std::vector<std::int64_t>{6, 3}));
    const fs::path checkpoint = connected("checkpoints/" + mode + "/checkpoint-6");
    EXPECT_TRUE(fs::exists(checkpoint / "config.json"));
    EXPECT_TRUE(fs::exists(checkpoint / "model.safetensors"));
    EXPECT_TRUE(
        fs::exists(checkpoint / (mode == "audio" ? "preprocessor_config.json" : "vocab.txt")));
    const auto state = nlohmann::json::parse(std::ifstream(checkpoint / "trainer_state.json"));
    EXPECT_EQ(state.at("global_step"), 6);
    EXPECT_EQ(state.at("max_steps"), 6);
    EXPECT_TRUE(state.at("best_metric").is_number());
    EXPECT_THAT(state.at("best_model_checkpoint").get<std::string>(), HasSubstr("checkpoint-"));
  }

  const Finished embedded = multimodal("embed");
  ASSERT_EQ(embedded.exit_code, 0) << embedded.out << embedded.err;
  EXPECT_THAT(embedded.out, HasSubstr("train audio_hidden: 18 rows, 18 computed"));
  EXPECT_THAT(embedded.out, HasSubstr("test text_hidden: 6 rows, 6 computed"));

  const Finished trained = multimodal("train");
  ASSERT_EQ(trained.exit_code, 0) << trained.out << trained.err;
  EXPECT_THAT(trained.out, HasSubstr("train audio_hidden: 18 rows, 0 computed"));
  EXPECT_TRUE(fs::exists(connected("checkpoints/multimodal/epoch=0.ckpt")));
  EXPECT_TRUE(fs::exists(connected("checkpoints/multimodal/last.ckpt")));

  const Finished over = resume({"last"});
  EXPECT_EQ(over.exit_code, 2) << over.out << over.err;
  EXPECT_THAT(over.err, HasSubstr("the run is finished: 2 epochs"));
  const Finished longer = resume({"last", "trainer.max_epochs=3"});
  ASSERT_EQ(longer.exit_code, 0) << longer.out << longer.err;
  EXPECT_THAT(longer.out, HasSubstr("resumed: trainer.max_epochs: 3 instead of 2"));

  const Finished tested = multimodal(
      "test", {"ckpt_path='" + connected("checkpoints/multimodal/epoch=0.ckpt").string() + "'"});
  ASSERT_EQ(tested.exit_code, 0) << tested.out << tested.err;
  EXPECT_THAT(tested.out, HasSubstr("test_MulticlassF1Score"));

  write_file(connected("data/test.csv"), "id,label\n0,\n1,\n2,\n3,\n4,\n5,\n");
  const Finished predicted = multimodal("predict");
  ASSERT_EQ(predicted.exit_code, 0) << predicted.out << predicted.err;
  const NpyArray logits = load_npy(connected("logits/multimodal.npy"));
  EXPECT_EQ(logits.shape, (std::vector<std::int64_t>{6, 3}));
  const CsvTable table = read_csv(connected("submissions/multimodal.csv"));
  EXPECT_EQ(table.header, (std::vector<std::string>{"id", "label"}));
  for (std::size_t row = 0; row < 6; ++row) {
    const float* scores = &logits.values[3 * row];
    const auto best = std::max_element(scores, scores + 3) - scores;
    EXPECT_EQ(table.rows[row],
              (std::vector<std::string>{std::to_string(row), std::to_string(best)}));
  }

  const Finished voted = run({"vote", "--config-name=reference_vote"});
  ASSERT_EQ(voted.exit_code, 0) << voted.out << voted.err;
  EXPECT_TRUE(fs::exists(connected("submissions/voted.csv")));
}

TEST_F(ReferenceExperimentSlow, AFineTuningGoesOnFromItsCheckpointToTheSameWeights) {
  const std::vector<std::string> steps = {"training_arguments.save_total_limit=null"};
  ASSERT_EQ(unimodal("text", steps).exit_code, 0);
  const auto weights = [&](const std::string& step) {
    return tensor::load_safetensors(
        connected("checkpoints/text/checkpoint-" + step + "/model.safetensors"));
  };
  const tensor::TensorMap whole = weights("6");
  fs::remove_all(connected("checkpoints/text/checkpoint-6"));
  fs::create_directories(connected("checkpoints/text/checkpoint-9.unfinished"));  // of a kill
  std::vector<std::string> resumed = steps;
  resumed.push_back("+training_arguments.resume_from_checkpoint=true");
  const Finished second = unimodal("text", resumed);
  ASSERT_EQ(second.exit_code, 0) << second.out << second.err;
  const tensor::TensorMap again = weights("6");
  ASSERT_EQ(again.size(), whole.size());
  for (const auto& [name, tensor] : whole) EXPECT_TRUE(tensor.equal(again.at(name))) << name;
  EXPECT_FALSE(fs::exists(connected("checkpoints/text/checkpoint-9.unfinished")));
}

TEST_F(ReferenceExperimentSlow, AFineTuningIsExtendedInItsDirectory) {
  ASSERT_EQ(unimodal("text").exit_code, 0);
  const Finished over = resume({"1"});
  EXPECT_EQ(over.exit_code, 2) << over.out << over.err;
  EXPECT_THAT(over.err, HasSubstr("the run is finished: 2 epochs, 6 steps"));
  EXPECT_THAT(over.err, HasSubstr(" training_arguments.num_train_epochs=4"));
  const Finished refused =
      resume({"1", "training_arguments.num_train_epochs=3", "training_arguments.learning_rate=1"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("training_arguments.learning_rate: 1 instead of 0.001"));
  const Finished longer = resume({"1", "training_arguments.num_train_epochs=3"});
  ASSERT_EQ(longer.exit_code, 0) << longer.out << longer.err;
  EXPECT_THAT(longer.out, HasSubstr("9 steps in all instead of 6"));
  EXPECT_TRUE(fs::exists(connected("checkpoints/text/checkpoint-9/model.safetensors")));
}

TEST_F(ReferenceExperimentSlow, AFineTuningHasCallbacksClassWeightsAndProcesses) {
  const Finished tuned = unimodal(
      "text", {"epoch=5", "+task.class_weights=balanced", "+trainer.devices=2",
               "+callbacks.early_stopping={_target_: polyphony.callbacks.EarlyStopping, monitor: "
               "eval_loss, patience: 1, min_delta: 100}"});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.out << tuned.err;
  // Nine rows a process in batches of six: two steps an epoch, and no third epoch.
  EXPECT_TRUE(fs::exists(connected("checkpoints/text/checkpoint-4")));
  EXPECT_FALSE(fs::exists(connected("checkpoints/text/checkpoint-6")));
  EXPECT_TRUE(fs::exists(base_ / "work/logs/0/rank-1.log"));
}

TEST_F(ReferenceExperimentSlow, TheTextsOfKemdy19AreFineTunedOn) {
  const char* given = std::getenv("KEMDY19_DIR");
  const fs::path corpus = given != nullptr ? given : "/work/shared/data/kemdy19";
  if (!fs::exists(corpus / "path_train.csv")) {
    GTEST_SKIP() << "KEMDy19 is licensed by ETRI and not here: set KEMDY19_DIR";
  }
  const std::string encoder = std::string(POLYPHONY_SOURCE_DIR) + "/examples/tiny_encoders/bert";
  ::setenv("KEMDY19_DIR", corpus.c_str(), 1);
  const Finished tuned =
      run({"unimodal", "mode=text", "dataset=kemdy19_words", "num_labels=7",
           "text_pretrained_model_name=" + encoder, "audio_pretrained_model_name=" + encoder,
           "num_threads=1", "text_max_length=24", "batch_size=64", "epoch=1",
           "+training_arguments.max_steps=4"});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.out << tuned.err;
  EXPECT_EQ(load_npy(connected("preds/unimodal/text.npy")).shape,
            (std::vector<std::int64_t>{2055, 7}));
}

TEST_F(ReferenceExperimentSlow, WrongInputIsAnswered) {
  const Finished swapped =
      unimodal("audio", {"audio_pretrained_model_name=" + std::string(POLYPHONY_SOURCE_DIR) +
                             "/examples/tiny_encoders/bert",
                         "dataset=fillets_words"});
  EXPECT_EQ(swapped.exit_code, 1) << swapped.out << swapped.err;
  EXPECT_THAT(swapped.err, HasSubstr("is a text encoder"));
  const Finished missing = multimodal("train");
  EXPECT_NE(missing.exit_code, 0);
  EXPECT_THAT(missing.err, HasSubstr("checkpoint-6"));
  const Finished tune = multimodal("tune");
  EXPECT_EQ(tune.exit_code, 1);
  EXPECT_THAT(tune.err, HasSubstr("--multirun"));
}

}  // namespace
}  // namespace polyphony
