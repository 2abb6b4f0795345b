// Which checkpoint-STEP folders a fine-tuning deletes.
#include <polyphony/pipeline/pretrained_checkpoints.h>

#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/train/trainer.h>
#include "scratch.h"
#include "train/toy.h"

namespace polyphony::pipeline {
namespace {

namespace fs = std::filesystem;
using tensor::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

fs::path fresh(const std::string& name) {
  const fs::path folder = fs::canonical(scratch_directory()) / ("folders-" + name);
  fs::remove_all(folder);
  return folder;
}

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Trains on 23 rows, five steps an epoch, saving every second one. @return what it printed
std::string tune(const fs::path& output_dir, int epochs, const fs::path& resume = {}) {
  train::TrainingArgumentsOptions options;
  options.output_dir = output_dir.string();
  options.save_strategy = train::IntervalStrategy::kSteps;
  options.save_steps = 2;
  options.save_total_limit = 2;
  const train::TrainingArguments arguments(options);
  train::TrainerParts parts;
  parts.callbacks.push_back(std::make_unique<PretrainedCheckpoints>(
      arguments, 100, [](const fs::path& folder) { write_file(folder / "config.json", "{}"); }));
  train::Trainer trainer(train::quiet(epochs), output_dir.string() + "-run", std::move(parts));
  train::ToyTask task;
  task.optimize_with(train::toy_optimization());
  const train::ToyDataset rows(23);
  data::Loader train(rows, train::toy_loading(true));
  ::testing::internal::CaptureStdout();
  try {
    trainer.fit(task, train, nullptr, resume);
  } catch (...) {
    ::testing::internal::GetCapturedStdout();
    throw;
  }
  return ::testing::internal::GetCapturedStdout();
}

TEST(PretrainedCheckpoints, KeepTheNewestAndTheLastStep) {
  const fs::path base = fresh("newest");
  tune(base, 1);
  EXPECT_THAT(names_in(base), ElementsAre("checkpoint-4", "checkpoint-5"));
  tune(base, 2, base / "checkpoint-5" / "trainer.ckpt");
  EXPECT_THAT(names_in(base), ElementsAre("checkpoint-10", "checkpoint-8"));
}

TEST(PretrainedCheckpoints, PutAnothersFolderAside) {
  const fs::path base = fresh("aside");
  write_file(base / "checkpoint-4" / "thesis.txt", "three years");
  EXPECT_THAT(tune(base, 1), HasSubstr("is put aside as"));
  EXPECT_EQ(read_file(base / "checkpoint-4.old-1" / "thesis.txt"), "three years");
  EXPECT_TRUE(fs::exists(base / "checkpoint-4" / "trainer.ckpt"));
}

TEST(PretrainedCheckpoints, LeaveAFolderThatSomebodyHasWrittenTo) {
  const fs::path base = fresh("written");
  tune(base, 1);
  write_file(base / "checkpoint-4" / "notes.txt", "mine");
  const std::string out = tune(base, 2, base / "checkpoint-5" / "trainer.ckpt");
  EXPECT_THAT(out, HasSubstr("checkpoint-4: notes.txt: this run has not written it"));
  EXPECT_THAT(names_in(base), ElementsAre("checkpoint-10", "checkpoint-4", "checkpoint-8"));
}

TEST(PretrainedCheckpoints, DeleteNothingThatAStateNamesElsewhere) {
  const fs::path base = fresh("elsewhere");
  const fs::path home = base / "home";
  write_file(home / "thesis.txt", "three years");
  tune(base / "out", 1);
  const fs::path file = base / "out" / "checkpoint-5" / "trainer.ckpt";
  const Value whole = tensor::load_archive(file);
  Value edited = Value::dict();
  for (const auto& [key, value] : whole.entries()) {
    if (key.as_string() != "callbacks") {
      edited.set(key, value);
      continue;
    }
    Value state = Value::dict();
    for (const auto& [name, content] : value.at("PretrainedCheckpoints").entries()) {
      Value folders = Value::list();
      folders.append(Value(home.string()));
      state.set(name, name.as_string() == "folders" ? folders : content);
    }
    Value callbacks = Value::dict();
    callbacks.set("PretrainedCheckpoints", state);
    edited.set(key, callbacks);
  }
  tensor::save_archive(file, edited);
  EXPECT_THAT(tune(base / "out", 2, file), HasSubstr("left: " + home.string()));
  EXPECT_EQ(read_file(home / "thesis.txt"), "three years");
  // Elsewhere nothing of the old training goes.
  const std::vector<std::string> before = names_in(base / "out");
  tune(base / "new", 4, base / "out" / "checkpoint-10" / "trainer.ckpt");
  EXPECT_EQ(names_in(base / "out"), before);
}

TEST(PretrainedCheckpoints, AreOneTrainingsAtATime) {
  const fs::path base = fresh("locked");
  const auto held = RunLock::acquire(base, nullptr, "run A", "");
  try {
    tune(base, 1);
    FAIL() << "not refused";
  } catch (const IoError& error) {
    EXPECT_THAT(error.what(), HasSubstr("run A"));
    EXPECT_THAT(error.what(), HasSubstr("training_arguments.output_dir="));
  }
}

}  // namespace
}  // namespace polyphony::pipeline
