// The original's configuration trees, today's and January 2024's, run as they are: trees of the
// same shape beside this file, and the original's own where POLYPHONY_ORIGINAL_DIR names its
// folder.
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <process.h>
#include <scratch.h>

#include <polyphony/base/csv.h>
#include <polyphony/base/files.h>
#include <polyphony/base/npy.h>

#include "pipeline/invented_corpus.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

const fs::path kTrees = fs::path(POLYPHONY_TEST_DIR) / "pipeline/trees";

/// A tree, and what it names the files that its runs leave.
struct Tree {
  fs::path configs;
  std::string package;  ///< folder below PROJECT_DIR and CONNECTED_DIR
  std::string one;      ///< of a fine-tuning
  std::string both;     ///< of the fusion
  std::string detail;   ///< of the fusion's options
  std::string voted;
};

const Tree kToday = {kTrees / "today",
                     "two-streams",
                     "OneStream-Invented",
                     "Streams/Invented",
                     "dims=32-layers=1-precision=32-bs=4x1x1",
                     "votes"};
const Tree kJanuary = {kTrees / "january", "two-streams", "OneStream", "Streams", "", ""};

class OriginalTreesSlow : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = scratch_directory() / "original";
    fs::remove_all(base_);
    write_tiny_encoders(base_ / "encoders");
  }

  /// A clone of the project with its .env, and its data beside it.
  void prepare(const Tree& tree) {
    tree_ = tree;
    clone_ = base_ / "code" / tree.package;
    write_file(clone_ / ".env", "PROJECT_DIR=" + (base_ / "code").string() +
                                    "\nCONNECTED_DIR=" + (base_ / "connected").string() +
                                    "\nDEVICES=1\nHF_HOME=" + (base_ / "hub").string() +
                                    "\nUSER_NAME=nobody\n");
    connected_ = base_ / "connected" / tree.package;
    write_invented_corpus(connected_);
  }

  /// Runs a verb in the clone.
  Finished run(Words words) const {
    Program program;
    program.command = {POLYPHONY_BINARY};
    // Threads measured at start are no good beside other tests, which come and go.
    if (words.front() != "vote") words.emplace_back("+num_threads=1");
    for (std::string& word : words) program.command.push_back(std::move(word));
    program.command.push_back("--config-path=" + tree_.configs.string());
    program.directory = clone_;
    program.environment = {{"POLYPHONY_CACHE", (base_ / "cache").string()}};
    return program.run();
  }

  Finished succeed(const Words& words) const {
    Finished done = run(words);
    EXPECT_EQ(done.exit_code, 0) << ::testing::PrintToString(words) << "\n" << done.out << done.err;
    return done;
  }

  std::string encoder(const std::string& name) const {
    return (base_ / "encoders" / name).string();
  }

  static Words joined(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  /// What must be overridden in today's tree to fuse the tiny encoders.
  Words fusion(const fs::path& speech, const fs::path& words) const {
    return {"multimodal",
            "dataset.pretrained_hubert=" + speech.string(),
            "dataset.pretrained_roberta=" + words.string(),
            "architecture.model.audio_dims=32",
            "architecture.model.text_dims=32",
            "model_dims=32",
            "num_heads=4",
            "num_layers=1",
            "batch_size=4"};
  }

  void expect_checkpoint(const fs::path& folder, const char* file) const {
    for (const char* name : {"config.json", "model.safetensors", "trainer_state.json", file}) {
      EXPECT_TRUE(fs::exists(folder / name)) << folder / name;
    }
  }

  /// Folders of W&B below a folder, any number.
  static std::ptrdiff_t wandb_runs(const fs::path& folder) {
    const auto runs = fs::recursive_directory_iterator(folder);
    return std::count_if(begin(runs), end(runs), [](const fs::directory_entry& entry) {
      return entry.path().filename().string().starts_with("offline-run-");
    });
  }

  void fine_tune_today() const {
    for (const std::string mode : {"audio", "text"}) {
      const Finished tuned =
          succeed({"unimodal", "mode=" + mode, "dataset=" + mode + "_kemdy19_dataset",
                   "audio_pretrained_model_name=" + encoder("speech"),
                   "text_pretrained_model_name=" + encoder("words"), "epoch=2", "batch_size=4"});
      expect_checkpoint(connected_ / "checkpoints" / mode / "checkpoint-6",
                        mode == "audio" ? "preprocessor_config.json" : "vocab.txt");
      EXPECT_EQ(load_npy(connected_ / "preds/unimodal" / (mode + ".npy")).shape,
                (std::vector<std::int64_t>{7, 7}));
      // report_to: wandb, in the run's own directory, where Hydra 1.1 works
      EXPECT_EQ(wandb_runs(clone_ / "logs/runs" / (tree_.one + "-" + mode)), 1);
    }
  }

  void fuse_today() const {
    const fs::path encoders = connected_ / "checkpoints";
    const Words words =
        joined(fusion(encoders / "audio/checkpoint-6", encoders / "text/checkpoint-6"),
               {"callbacks.early_stopping.patience=5"});
    const Finished trained = succeed(joined(words, {"mode=train", "epoch=2"}));
    EXPECT_THAT(trained.out, HasSubstr("note: trainer.accelerator=gpu"));
    const fs::path folder = encoders / tree_.both / "untuned/ddp" / tree_.detail;
    for (const char* name : {"epoch=0.ckpt", "epoch=1.ckpt", "last.ckpt"}) {
      EXPECT_TRUE(fs::exists(folder / name)) << folder / name;
    }
    EXPECT_EQ(wandb_runs(clone_ / "logs/wandb"), 1);
    const Finished tested = succeed(joined(words, {"mode=test", "epoch=1"}));
    EXPECT_THAT(tested.out, AllOf(HasSubstr((folder / "epoch=1.ckpt").string()),
                                  HasSubstr("test_MulticlassF1Score")));

    write_file(connected_ / "data/test.csv", "id,emotion\na,\nb,\nc,\nd,\ne,\nf,\ng,\n");
    succeed(joined(words, {"mode=predict", "epoch=1"}));
    const fs::path logits = connected_ / "logits" / (tree_.detail + "-epoch=1.npy");
    const NpyArray scores = load_npy(logits);
    ASSERT_EQ(scores.shape, (std::vector<std::int64_t>{7, 7}));
    const CsvTable filled = read_csv(connected_ / "submissions" / (tree_.detail + "-epoch=1.csv"));
    for (std::size_t row = 0; row < 7; ++row) {
      const float* first = &scores.values[7 * row];
      EXPECT_EQ(filled.rows[row],
                (Words{std::string(1, static_cast<char>('a' + row)),
                       std::to_string(std::max_element(first, first + 7) - first)}));
    }
    fs::copy_file(logits, connected_ / "logits/logit1.npy");
  }

  void vote_today() const {
    fs::copy_file(connected_ / "preds/unimodal/text.npy", connected_ / "logits/logit2.npy");
    succeed({"vote", "votings.logit1=0.25", "votings.logit2=0.75"});
    const NpyArray first = load_npy(connected_ / "logits/logit1.npy");
    const NpyArray second = load_npy(connected_ / "logits/logit2.npy");
    const NpyArray voted = load_npy(connected_ / "logits" / (tree_.voted + ".npy"));
    for (std::size_t i = 0; i < voted.values.size(); ++i) {
      EXPECT_NEAR(voted.values[i], 0.25F * first.values[i] + 0.75F * second.values[i], 1e-5);
    }
    EXPECT_EQ(read_csv(connected_ / "submissions" / (tree_.voted + ".csv")).rows.size(), 7U);
  }

  void run_today(const Tree& tree) {
    prepare(tree);
    fine_tune_today();
    fuse_today();
    vote_today();
  }

  void fine_tune_january(const std::string& project) const {
    for (const auto& [config, mode, encoder_name, folder, file] :
         {std::tuple{"etri_unimodal_audio_hubert_main", "audio", "speech", "facebook_hubert_large",
                     "preprocessor_config.json"},
          {"etri_unimodal_text_roberta_main", "text", "words", "klue_roberta_large",
           "vocab.txt"}}) {
      succeed({"unimodal", std::string("--config-name=") + config, project,
               "pretrained_model_name=" + encoder(encoder_name), "epoch=2", "batch_size=4"});
      expect_checkpoint(connected_ / "checkpoints" / folder / "checkpoint-6", file);
      const std::string name = std::string("unimodal_") + mode;
      EXPECT_EQ(load_npy(connected_ / "preds" / name / (name + ".npy")).shape,
                (std::vector<std::int64_t>{7, 7}));
    }
  }

  void run_january(const Tree& tree) {
    prepare(tree);
    const std::string project = "project_dir=" + connected_.string();
    fine_tune_january(project);
    const fs::path folder = connected_ / "checkpoints";
    const Words words = {"multimodal",
                         project,
                         "dataset_module.pretrained_hubert=" +
                             (folder / "facebook_hubert_large/checkpoint-6").string(),
                         "dataset_module.pretrained_roberta=" +
                             (folder / "klue_roberta_large/checkpoint-6").string(),
                         "architecture_module.model.d_audio=32",
                         "architecture_module.model.d_text=32",
                         "d_model=32",
                         "n_heads=4",
                         "n_layers=1",
                         "batch_size=4"};
    succeed(joined(words, {"--config-name=etri_basic_multimodal_train", "epoch=2"}));
    const std::string model = tree_.both + "-d_model32-n_heads4-n_layers1";
    for (const std::string& name :
         {model + "-bs4-epoch0", model + "-bs4-epoch1", std::string("last")}) {
      EXPECT_TRUE(fs::exists(folder / (name + ".ckpt"))) << folder / name;
    }
    const Finished tested =
        succeed(joined(words, {"--config-name=etri_basic_multimodal_test", "epoch=1"}));
    EXPECT_THAT(tested.out, AllOf(HasSubstr((folder / (model + "-bs4-epoch1.ckpt")).string()),
                                  HasSubstr("test_MulticlassF1Score")));
    EXPECT_TRUE(fs::exists(clone_ / "logs/runs" / (model + "-test")));
    EXPECT_EQ(wandb_runs(connected_ / "logs/wandb"), 2);
  }

  fs::path base_, clone_, connected_;
  Tree tree_;
};

TEST_F(OriginalTreesSlow, TodaysRunsFromFineTuningToVoting) { run_today(kToday); }

TEST_F(OriginalTreesSlow, JanuarysRunsFromFineTuningToTesting) { run_january(kJanuary); }

TEST_F(OriginalTreesSlow, TheOriginalsOwnRunsUnchanged) {
  const char* given = std::getenv("POLYPHONY_ORIGINAL_DIR");
  if (given == nullptr) {
    GTEST_SKIP() << "the original's files are not ours to keep: clone "
                    "https://github.com/DimensionSTP/multimodal-transformer and name the clone, at "
                    "its HEAD or at ac1cd71, in POLYPHONY_ORIGINAL_DIR";
  }
  const fs::path configs = fs::path(given) / "configs";
  ASSERT_TRUE(fs::is_directory(configs)) << "POLYPHONY_ORIGINAL_DIR=" << given;
  if (fs::exists(configs / "multimodal.yaml")) {
    run_today({configs, "multimodal-transformer", "UniModalTransformer-KEMDy19",
               "MultiModalTransformer/KEMDy19",
               "model_dims=32-num_heads=4-num_layers=1-precision=32-bs=4x1x1", "soft_voting"});
  } else {
    run_january({configs, "multimodal-transformer", "", "MultiModalTransformer", "", ""});
  }
}

TEST_F(OriginalTreesSlow, WhatThisBuildHasNotIsReplacedWithANote) {
  prepare(kToday);
  const Words words =
      joined(fusion(encoder("speech"), encoder("words")),
             {"epoch=1", "devices=2", "strategy=deepspeed_stage_2", "precision=16"});
  const Finished trained = succeed(joined(words, {"mode=train"}));
  EXPECT_THAT(trained.out, AllOf(HasSubstr("trainer.accelerator=gpu: this build computes on the"),
                                 HasSubstr("trainer.precision=16: the processor has bf16"),
                                 HasSubstr("trainer.strategy=deepspeed_stage_2: ddp is taken")));
  const fs::path folder = connected_ / "checkpoints/Streams/Invented/untuned/deepspeed_stage_2" /
                          "dims=32-layers=1-precision=16-bs=4x2x1";
  EXPECT_TRUE(fs::exists(folder / "epoch=0.ckpt"));

  const Finished missing = run(joined(words, {"mode=test", "epoch=7"}));
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(missing.err, AllOf(HasSubstr("epoch=7.ckpt: no such checkpoint"),
                                 HasSubstr("its folder has epoch=0.ckpt, last.ckpt")));

  // DeepSpeed's checkpoints are folders, in which the original puts the whole weights.
  fs::create_directories(folder / "epoch=3.ckpt");
  fs::copy_file(folder / "epoch=0.ckpt", folder / "epoch=3.ckpt/model.pt");
  const Finished tested = succeed(joined(words, {"mode=test", "epoch=3"}));
  EXPECT_THAT(tested.out, HasSubstr("epoch=3.ckpt/model.pt"));
}

TEST_F(OriginalTreesSlow, TuningSaysWhatToDoInstead) {
  prepare(kToday);
  const Words words = joined(fusion(encoder("speech"), encoder("words")), {"epoch=1"});
  const Finished tuning = run(joined(words, {"mode=tune"}));
  EXPECT_EQ(tuning.exit_code, 1);
  EXPECT_THAT(tuning.err,
              AllOf(HasSubstr("--multirun"), HasSubstr("--sort val_MulticlassF1Score:desc"),
                    HasSubstr("is_tuned=tuned")));

  const Finished untold = run(joined(words, {"is_tuned=tuned"}));
  EXPECT_EQ(untold.exit_code, 3);
  const fs::path best = connected_ / "hparams/Streams/Invented/2_trials/best_params.json";
  EXPECT_THAT(untold.err, AllOf(HasSubstr(best.string() + ": no such file"), HasSubstr("JSON")));
  write_file(best, R"({"num_layers": 2, "lr": 0.003, "attn_mask": true})");
  succeed(joined(words, {"is_tuned=tuned"}));
  EXPECT_TRUE(fs::exists(connected_ / "checkpoints/Streams/Invented/tuned/ddp" /
                         "dims=32-layers=2-precision=32-bs=4x1x1/epoch=0.ckpt"));
}

TEST_F(OriginalTreesSlow, WhatAResearcherForgetsIsNamed) {
  prepare(kToday);
  const Finished other_verb = run({"train", "--config-name=multimodal"});
  EXPECT_EQ(other_verb.exit_code, 1);
  EXPECT_THAT(other_verb.err, HasSubstr("polyphony multimodal"));

  const Words text = {"unimodal", "mode=text", "dataset=text_kemdy19_dataset", "epoch=1",
                      "text_pretrained_model_name=" + encoder("words")};
  const Finished elsewhere = run(joined(text, {"training_arguments.report_to=comet_ml"}));
  EXPECT_EQ(elsewhere.exit_code, 1);
  EXPECT_THAT(elsewhere.err, AllOf(HasSubstr("report_to: comet_ml"), HasSubstr("tensorboard")));

  fs::remove_all(connected_ / "KEMDy19");
  const Finished silent = run(
      {"unimodal", "mode=audio", "epoch=1", "audio_pretrained_model_name=" + encoder("speech")});
  EXPECT_EQ(silent.exit_code, 3);
  EXPECT_THAT(silent.err, AllOf(HasSubstr("no such recording"), HasSubstr("audio_root")));

  fs::remove(clone_ / ".env");
  const Finished unset = run(text);
  EXPECT_EQ(unset.exit_code, 1);
  EXPECT_THAT(unset.err, AllOf(HasSubstr("CONNECTED_DIR"), HasSubstr(".env")));
}

}  // namespace
}  // namespace polyphony
