// What a user can get wrong, and what the program says of it: an exit code, the place, the remedy.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>

#include "app/program.h"
#include "scratch.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class WrongInput : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = scratch_directory() / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    manifest_ = write_tones(folder_);
  }

  void write_manifest(const std::string& text) const { std::ofstream(manifest_) << text; }

  /// Trains with `more` overrides and expects a failure whose text has every part.
  void expect_failure(const std::vector<std::string>& more, ExitCode code,
                      const std::vector<std::string>& parts, const std::string& verb = "train") {
    std::vector<std::string> arguments = small_run(verb, manifest_);
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished ended = run_program(folder_, arguments);
    EXPECT_EQ(ended.exit_code, static_cast<int>(code)) << ended.out << ended.err;
    for (const std::string& part : parts) EXPECT_THAT(ended.err, HasSubstr(part));
  }

  fs::path folder_, manifest_;
};

TEST_F(WrongInput, MissingConfigurationNamesTheSearchPath) {
  const Finished ended =
      run_program(folder_, {"train", "--config-path", folder_.string(), "--config-name", "nope"});
  EXPECT_EQ(ended.exit_code, static_cast<int>(ExitCode::kConfig));
  EXPECT_THAT(ended.err, HasSubstr("nope"));
  EXPECT_THAT(ended.err, HasSubstr(folder_.string()));
}

TEST_F(WrongInput, MisspeltExperimentListsThoseThereAre) {
  expect_failure({"experiment=fillets/adio"}, ExitCode::kConfig,
                 {"fillets/adio", "fillets/audio", "fillets/text"});
}

TEST_F(WrongInput, UnknownKeyNamesTheNearest) {
  expect_failure({"epoch=3"}, ExitCode::kConfig, {"'epoch'", "epochs"});
}

TEST_F(WrongInput, UnknownOptionOfAClassNamesTheNearest) {
  expect_failure({"+trainer.max_epoch=3"}, ExitCode::kConfig, {"trainer.max_epoch", "max_epochs"});
}

TEST_F(WrongInput, WrongTypeSaysWhatIsWanted) {
  expect_failure({"trainer.max_epochs=many"}, ExitCode::kConfig,
                 {"trainer.max_epochs", "int", "many"});
}

TEST_F(WrongInput, ValueOutOfRangeSaysTheRange) {
  expect_failure({"loading.batch_size=0"}, ExitCode::kConfig, {"batch_size", "at least 1"});
}

TEST_F(WrongInput, MissingManifestIsNamed) {
  expect_failure({"dataset.manifest=/no/such.csv"}, ExitCode::kIo, {"/no/such.csv"});
}

TEST_F(WrongInput, MissingRecordingIsNamed) {
  fs::remove(folder_ / "train3big.wav");
  expect_failure({}, ExitCode::kData, {"train3big.wav"});
}

TEST_F(WrongInput, TruncatedRecordingIsNamed) {
  fs::resize_file(folder_ / "val1small.wav", 20);
  expect_failure({}, ExitCode::kData, {"val1small.wav"});
}

TEST_F(WrongInput, TextOnlyManifestForAnAudioModelNamesTheColumns) {
  write_manifest("text,label,split\nhello,small,train\n");
  expect_failure({}, ExitCode::kData,
                 {"no column 'audio_path'", "dataset.path_column", "text, label, split"});
}

TEST_F(WrongInput, LabelOutOfRangeNamesLineAndClasses) {
  write_manifest("audio_path,text,label,split\ntrain0big.wav,x,7,train\n");
  expect_failure({}, ExitCode::kData, {":2: label '7' is out of range", "small, big, other"});
}

TEST_F(WrongInput, UnlabelledRowsAreRefusedBeforeTraining) {
  write_manifest(
      "audio_path,text,label,split\ntrain0big.wav,x,,train\ntrain0small.wav,x,0,train\n"
      "val0big.wav,x,big,val\n");
  expect_failure({}, ExitCode::kData, {"1 of 2 rows of split 'train' have no label"});
}

TEST_F(WrongInput, OneClassIsNothingToLearn) {
  write_manifest(
      "audio_path,text,label,split\ntrain0big.wav,x,big,train\ntrain1big.wav,x,big,train\n"
      "val0big.wav,x,big,val\n");
  expect_failure({}, ExitCode::kData, {"fewer than two classes", "polyphony data check"});
}

TEST_F(WrongInput, EmptySplitIsNamed) {
  expect_failure({"split.val=dev"}, ExitCode::kData, {"split 'dev' is empty", "split"});
}

TEST_F(WrongInput, EmptyManifestIsNamed) {
  write_manifest("");
  expect_failure({}, ExitCode::kData, {"manifest.csv"});
}

TEST_F(WrongInput, OtherNumberOfClassesNamesBoth) {
  expect_failure({"num_labels=4"}, ExitCode::kConfig,
                 {"task.num_labels is 4", "3 classes", "num_labels=3"});
}

TEST_F(WrongInput, UnwritableRunDirectoryIsNamed) {
  expect_failure({"hydra.run.dir=manifest.csv/run"}, ExitCode::kIo, {"manifest.csv/run"});
}

TEST_F(WrongInput, TestWithoutWeightsSaysHowToNameThem) {
  expect_failure({}, ExitCode::kConfig, {"ckpt_path", "checkpoints/"}, "test");
}

TEST_F(WrongInput, DamagedCheckpointIsNamed) {
  std::ofstream(folder_ / "bad.ckpt") << "PK\x03\x04 not a checkpoint";
  expect_failure({"ckpt_path=bad.ckpt"}, ExitCode::kData, {"bad.ckpt"}, "test");
}

TEST_F(WrongInput, UnknownMonitorListsWhatWasLogged) {
  expect_failure({"monitor=val_F1"}, ExitCode::kConfig, {"val_F1", "val_MulticlassF1Score"});
}

TEST_F(WrongInput, DivergedLossNamesTheStep) {
  expect_failure({"lr=1e30", "schedule.warmup_ratio=0", "trainer.gradient_clip_val=null"},
                 ExitCode::kData, {"the loss is ", " at step ", "rows", "optimizer.lr"});
}

TEST_F(WrongInput, VotesOfOtherWeightsThanOneSayTheSum) {
  std::ofstream(folder_ / "voting.yaml") << "votings: {a: 0.5, b: 0.4}\nconnected_dir: .\n"
                                            "submission_file: manifest.csv\n"
                                            "target_column_name: label\nvoted_logit: v.npy\n"
                                            "voted_file: v.csv\n";
  const Finished ended = run_program(folder_, {"vote", "--config-path", ".", "hydra.run.dir=run"});
  EXPECT_EQ(ended.exit_code, static_cast<int>(ExitCode::kConfig));
  EXPECT_THAT(ended.err, HasSubstr("sum to 0.9"));
}

TEST_F(WrongInput, UnknownVerbIsAUsageError) {
  EXPECT_EQ(run_program(folder_, {"trian"}).exit_code, static_cast<int>(ExitCode::kUsage));
}

}  // namespace
}  // namespace polyphony
