// What ModelCheckpoint deletes and replaces, what a run that goes on elsewhere keeps, and the lock.
#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>
#include <scratch.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/callbacks/model_checkpoint.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/train/checkpoint.h>

#include "../train/toy.h"

namespace polyphony::callbacks {
namespace {

namespace fs = std::filesystem;
using tensor::Value;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

fs::path fresh(const std::string& name) {
  const fs::path folder = fs::canonical(scratch_directory()) / ("checkpoint-" + name);
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

struct Ran {
  std::string best;
  std::optional<float> best_score;
  std::string out;
  std::string err;
};

struct Wanted {
  std::vector<double> scores;  ///< of all epochs
  int epochs = 0;              ///< 0: one for each score
  fs::path root;
  fs::path resume = {};
  std::string dirpath = "";
  std::optional<bool> save_last = true;
  int save_top_k = 1;
  bool safetensors = false;
  std::optional<std::string> monitor = "val_value";
  std::function<void(train::TrainerOptions&)> options = nullptr;
  std::function<void(train::TrainerParts&)> parts = nullptr;
};

Ran run(const Wanted& wanted) {
  ModelCheckpointOptions options;
  options.monitor = wanted.monitor;
  options.mode = Mode::kMax;
  options.filename = "{epoch}";
  options.save_last = wanted.save_last;
  options.save_top_k = wanted.save_top_k;
  options.safetensors = wanted.safetensors;
  if (!wanted.dirpath.empty()) options.dirpath = wanted.dirpath;
  train::TrainerParts parts;
  auto callback = std::make_unique<ModelCheckpoint>(options);
  const ModelCheckpoint& checkpoint = *callback;
  parts.callbacks.push_back(std::move(callback));
  train::TrainerOptions trainer_options =
      train::quiet(wanted.epochs > 0 ? wanted.epochs : static_cast<int>(wanted.scores.size()));
  if (wanted.options) wanted.options(trainer_options);
  if (wanted.parts) wanted.parts(parts);
  train::Trainer trainer(trainer_options, wanted.root, std::move(parts));
  train::ToyTask task;
  task.val_value = [&] {
    return wanted.scores.at(static_cast<std::size_t>(trainer.current_epoch()));
  };
  task.optimize_with(train::toy_optimization());
  const train::ToyDataset rows(10);
  data::Loader train(rows, train::toy_loading(true));
  data::Loader val(rows, train::toy_loading(false));
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  trainer.fit(task, train, &val, wanted.resume);
  Ran ran{checkpoint.best_path(), checkpoint.best_score(), ::testing::internal::GetCapturedStdout(),
          ::testing::internal::GetCapturedStderr()};
  return ran;
}

/// A checkpoint with another text in place of one in the callback's state.
void edit_state(const fs::path& path,
                const std::function<void(const std::string& key, Value& value)>& edit) {
  const Value whole = tensor::load_archive(path);
  Value edited = Value::dict();
  for (const auto& [key, value] : whole.entries()) {
    if (key.as_string() != "callbacks") {
      edited.set(key, value);
      continue;
    }
    Value callbacks = Value::dict();
    for (const auto& [name, state] : value.entries()) {
      Value changed = Value::dict();
      for (const auto& [item, content] : state.entries()) {
        Value copy = content;
        edit(item.as_string(), copy);
        changed.set(item, std::move(copy));
      }
      callbacks.set(name, std::move(changed));
    }
    edited.set(key, std::move(callbacks));
  }
  tensor::save_archive(path, edited);
}

TEST(ModelCheckpoint, DeletesNothingThatAStateNamesOutsideItsDirectory) {
  const fs::path base = fresh("outside");
  const fs::path thesis = base / "thesis.txt";
  write_file(thesis, "three years");
  const fs::path last = base / "run" / "checkpoints" / "last.ckpt";
  run({.scores = {.1, .2}, .epochs = 2, .root = base / "run"});
  edit_state(last, [&](const std::string& key, Value& value) {
    if (key == "best_model_path" || key == "kth_best_model_path" || key == "last_model_path") {
      value = Value(thesis.string());
    }
    if (key == "best_k_models") {
      value = Value::dict();
      value.set(thesis.string(), Value(0.2));
    }
  });
  const Ran ran =
      run({.scores = {.1, .2, .3, .4}, .root = base / "run", .resume = last, .safetensors = true});
  EXPECT_EQ(read_file(thesis), "three years");
  EXPECT_THAT(ran.out, HasSubstr("left: " + thesis.string() + ": it lies outside"));
  EXPECT_EQ(ran.best, (base / "run" / "checkpoints" / "epoch=3.ckpt").string());
}

/// A process that is lost while the others wait for the checkpoint to be written.
class LosesAPeer : public dist::Collective {
 public:
  void barrier() override { throw Error(ExitCode::kPeer, "rank 1 is gone"); }
};

TEST(ModelCheckpoint, KeepsWhatItWroteBeforeAnotherProcessWasLost) {
  const fs::path base = fresh("peer");
  Wanted wanted{.scores = {.1, .2}, .root = base / "run", .safetensors = true};
  wanted.parts = [](train::TrainerParts& parts) {
    parts.strategy = std::make_unique<train::Strategy>(at::kCPU, std::make_unique<LosesAPeer>());
  };
  EXPECT_THROW(run(wanted), Error);
  ::testing::internal::GetCapturedStdout();
  ::testing::internal::GetCapturedStderr();
  const fs::path checkpoints = base / "run" / "checkpoints";
  EXPECT_THAT(names_in(checkpoints), Contains("epoch=0.ckpt"));
  EXPECT_THAT(names_in(checkpoints), Contains("epoch=0.safetensors"));
  const Ran ran =
      run({.scores = {.1, .2}, .root = base / "run", .resume = checkpoints / "epoch=0.ckpt"});
  EXPECT_EQ(ran.best, (checkpoints / "epoch=1.ckpt").string());
}

TEST(ModelCheckpoint, InPlaceTheSupersededBestOfTheResumedRunGoes) {
  const fs::path base = fresh("superseded");
  run({.scores = {.1, .3, .2}, .root = base, .safetensors = true});
  const Ran ran = run({.scores = {.1, .3, .2, .4},
                       .root = base,
                       .resume = base / "checkpoints" / "last.ckpt",
                       .safetensors = true});
  EXPECT_THAT(names_in(base / "checkpoints"),
              ElementsAre("epoch=3.ckpt", "epoch=3.safetensors", "last.ckpt", "last.safetensors"));
  EXPECT_THAT(ran.out, ::testing::Not(HasSubstr("left:")));
}

TEST(ModelCheckpoint, WhatIsNoLongerWhatTheStateSaysIsLeft) {
  for (const bool same_size : {false, true}) {
    const fs::path base = fresh("changed");
    run({.scores = {.1, .3, .2}, .root = base, .safetensors = true});
    const fs::path best = base / "checkpoints" / "epoch=1.ckpt";
    const fs::path twin = base / "checkpoints" / "epoch=1.safetensors";
    std::string bytes = read_file(twin);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    write_file(twin, same_size ? bytes : "mine");
    const Ran ran = run({.scores = {.1, .3, .2, .4},
                         .root = base,
                         .resume = base / "checkpoints" / "last.ckpt",
                         .safetensors = true});
    EXPECT_FALSE(fs::exists(best));  // as it was
    EXPECT_TRUE(fs::exists(twin));
    EXPECT_THAT(ran.out, HasSubstr("left: " + twin.string() + ": it is not what this run has"));
  }
}

TEST(ModelCheckpoint, ASymbolicLinkAndAFileOfAnotherAreLeft) {
  const fs::path base = fresh("link");
  run({.scores = {.1, .3, .2}, .root = base});
  const fs::path best = base / "checkpoints" / "epoch=1.ckpt";
  fs::rename(best, base / "kept.ckpt");
  fs::create_symlink(base / "kept.ckpt", best);
  const fs::path last = base / "checkpoints" / "last.ckpt";
  const Ran ran = run({.scores = {.1, .3, .2, .4}, .root = base, .resume = last});
  EXPECT_TRUE(fs::exists(base / "kept.ckpt"));
  EXPECT_TRUE(fs::is_symlink(best));
  EXPECT_THAT(ran.out, HasSubstr("it is a symbolic link"));
  // last.ckpt has become another's meanwhile.
  const fs::path newest = base / "checkpoints" / "epoch=3.ckpt";
  write_file(last, "another's");
  run({.scores = {.1, .3, .2, .4, .5}, .root = base, .resume = newest});
  EXPECT_EQ(read_file(last), "another's");
  EXPECT_TRUE(fs::exists(base / "checkpoints" / "last-v1.ckpt"));
}

TEST(ModelCheckpoint, WithoutAListOnlyTheLoadedFileIsOwned) {
  const fs::path base = fresh("lightning");
  run({.scores = {.1, .3, .2}, .root = base});
  const fs::path last = base / "checkpoints" / "last.ckpt";
  edit_state(last, [](const std::string& key, Value& value) {
    if (key == "files") value = Value::dict();
  });
  run({.scores = {.1, .3, .2, .4}, .root = base, .resume = last});
  EXPECT_THAT(names_in(base / "checkpoints"),
              ElementsAre("epoch=1.ckpt", "epoch=3.ckpt", "last.ckpt"));
}

TEST(ModelCheckpoint, ElsewhereTheRankingGoesOnAndTheOldRunKeepsItsFiles) {
  const fs::path base = fresh("elsewhere");
  run({.scores = {.1, .5, .2}, .root = base / "old"});
  const std::vector<std::string> before = names_in(base / "old" / "checkpoints");
  const fs::path last = base / "old" / "checkpoints" / "last.ckpt";
  const Ran worse = run({.scores = {.1, .5, .2, .4}, .root = base / "new", .resume = last});
  EXPECT_EQ(worse.best, (base / "new" / "checkpoints" / "epoch=1.ckpt").string());
  EXPECT_EQ(worse.best_score, .5F);
  EXPECT_THAT(names_in(base / "new" / "checkpoints"), ElementsAre("epoch=1.ckpt", "last.ckpt"));
  EXPECT_EQ(train::best_checkpoint(base / "new"), worse.best);
  EXPECT_EQ(names_in(base / "old" / "checkpoints"), before);
  const Ran better = run({.scores = {.1, .5, .2, .6}, .root = base / "third", .resume = last});
  EXPECT_THAT(names_in(base / "third" / "checkpoints"), ElementsAre("epoch=3.ckpt", "last.ckpt"));
  EXPECT_EQ(names_in(base / "old" / "checkpoints"), before);
  fs::remove_all(base / "old");  // the new run is complete without it
  EXPECT_EQ(train::load_state_dict(worse.best).size(), 2U);
}

TEST(ModelCheckpoint, ElsewhereKeepsAllRanksOfTopK) {
  const fs::path base = fresh("top-k");
  const std::vector<double> scores = {.3, .5, .2, .4, .1};
  run({.scores = scores, .epochs = 3, .root = base / "old", .save_top_k = 2});
  run({.scores = scores, .root = base / "straight", .save_top_k = 2});
  run({.scores = scores,
       .root = base / "new",
       .resume = base / "old" / "checkpoints" / "last.ckpt",
       .save_top_k = 2});
  EXPECT_EQ(names_in(base / "new" / "checkpoints"), names_in(base / "straight" / "checkpoints"));
}

TEST(ModelCheckpoint, ABestThatIsGoneLeavesTheRankingAndIsNamed) {
  const fs::path base = fresh("gone");
  run({.scores = {.1, .5, .2}, .root = base / "old"});
  const fs::path best = base / "old" / "checkpoints" / "epoch=1.ckpt";
  fs::remove(best);
  const fs::path last = base / "old" / "checkpoints" / "last.ckpt";
  for (const char* root : {"new", "old"}) {
    const Ran ran = run({.scores = {.1, .5, .2, .4}, .root = base / root, .resume = last});
    EXPECT_THAT(ran.err, HasSubstr(best.string() + ": the ranked checkpoint is gone")) << root;
    EXPECT_THAT(ran.err, HasSubstr("the next one is the best")) << root;
    EXPECT_EQ(ran.best, (base / root / "checkpoints" / "epoch=3.ckpt").string());
  }
}

TEST(ModelCheckpoint, ARelativeDirpathIsTheSameBeforeAndAfterItIsThere) {
  const fs::path base = fresh("relative");
  fs::create_directories(base);
  fs::current_path(base);
  fs::create_directory_symlink(base, base / "here");
  std::string resume;
  int epochs = 1;
  for (const char* dirpath : {"kept", "kept/", "./kept/../kept", "here/kept"}) {
    run({.scores = {.1, .2, .3, .4},
         .epochs = epochs++,
         .root = base / "run",
         .resume = resume,
         .dirpath = dirpath});
    resume = "kept/last.ckpt";
    EXPECT_THAT(names_in(base / "kept"), ::testing::Not(::testing::Contains("last-v1.ckpt")))
        << dirpath;
  }
  EXPECT_THAT(names_in(base / "kept"), ElementsAre("epoch=3.ckpt", "last.ckpt"));
}

TEST(ModelCheckpoint, AMovedRunFindsItsOwnBest) {
  const fs::path base = fresh("moved");
  run({.scores = {.1, .5, .2}, .root = base / "old"});
  fs::copy(base / "old", base / "copy", fs::copy_options::recursive);
  EXPECT_EQ(train::best_checkpoint(base / "copy"), base / "copy" / "checkpoints" / "epoch=1.ckpt");
  fs::rename(base / "old", base / "moved");
  EXPECT_EQ(train::best_checkpoint(base / "moved"),
            base / "moved" / "checkpoints" / "epoch=1.ckpt");
  // It goes on there, too, and owns what it had written.
  run({.scores = {.1, .5, .2, .6},
       .root = base / "moved",
       .resume = base / "moved" / "checkpoints" / "last.ckpt"});
  EXPECT_THAT(names_in(base / "moved" / "checkpoints"), ElementsAre("epoch=3.ckpt", "last.ckpt"));
}

TEST(ModelCheckpoint, EveryFitThatDidStepsEndsWithItsLastState) {
  const auto last_step = [](const Wanted& wanted) -> std::int64_t {
    run(wanted);
    const fs::path last = wanted.root / "checkpoints" / "last.ckpt";
    return fs::exists(last) ? tensor::load_archive(last).at("global_step").as_int() : -1;
  };
  const auto with = [&](const char* name, std::function<void(train::TrainerOptions&)> options) {
    return Wanted{.scores = {.1, .2, .3},
                  .root = fresh(std::string("end-") + name),
                  .options = std::move(options)};
  };
  const Wanted steps = with("steps", [](auto& o) {
    o.max_steps = 1;
    o.check_val_every_n_epoch = 2;
  });
  EXPECT_EQ(last_step(steps), 1);
  EXPECT_EQ(last_step(with("epochs", [](auto& o) { o.check_val_every_n_epoch = 2; })), 6);
  EXPECT_EQ(last_step(with("without",
                           [](auto& o) {
                             o.limit_val_batches = train::Limit::batches(0);
                             o.check_val_every_n_epoch = 2;
                           })),
            6);
  Wanted unset = steps;
  unset.root = fresh("end-unset");
  unset.save_last = std::nullopt;
  EXPECT_EQ(last_step(unset), 1);
  Wanted refused = steps;
  refused.root = fresh("end-refused");
  refused.save_last = false;
  EXPECT_EQ(last_step(refused), -1);
  Wanted none = unset;
  none.root = fresh("end-none");
  none.save_top_k = 0;
  EXPECT_EQ(last_step(none), -1);
  Wanted kept{.scores = {.1, .2}, .root = fresh("end-kept"), .save_last = std::nullopt};
  EXPECT_EQ(last_step(kept), -1);  // epoch=1.ckpt is it
  Wanted trial{.scores = {.1}, .root = fresh("end-trial"), .options = [](auto& o) {
                 o.fast_dev_run.count = 1;
               }};
  run(trial);
  EXPECT_FALSE(fs::exists(trial.root));
}

TEST(ModelCheckpoint, TwoRunsDoNotShareADirectory) {
  const fs::path base = fresh("locked");
  const auto held = RunLock::acquire(base / "checkpoints", this, "run A", "");
  try {
    run({.scores = {.1}, .root = base});
    FAIL() << "not refused";
  } catch (const IoError& error) {
    ::testing::internal::GetCapturedStdout();
    ::testing::internal::GetCapturedStderr();
    EXPECT_THAT(error.what(), HasSubstr("process " + std::to_string(getpid()) + " on "));
    EXPECT_THAT(error.what(), HasSubstr("run A"));
    EXPECT_THAT(error.what(), HasSubstr("callbacks.model_checkpoint.dirpath="));
  }
}

}  // namespace
}  // namespace polyphony::callbacks
