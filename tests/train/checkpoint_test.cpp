// Checkpoints between this program and Python's torch.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <ATen/Context.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/sub.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <scratch.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/tensor/archive.h>
#include <polyphony/train/checkpoint.h>

#include "toy.h"

namespace polyphony::train {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// Saves in its second epoch.
class SaveInMidEpoch : public Callback {
 public:
  explicit SaveInMidEpoch(fs::path path) : path_(std::move(path)) {}
  bool saves_checkpoints() const override { return true; }
  void on_train_batch_end(Trainer& trainer, double, std::int64_t index) override {
    if (trainer.current_epoch() == 1 && index == 0) trainer.save_checkpoint(path_);
  }

 private:
  fs::path path_;
};

at::Tensor fit(const fs::path& save, const fs::path& resume = {}) {
  at::manual_seed(2);
  const ToyDataset rows(10);
  data::Loader loader(rows, toy_loading(true));
  TrainerParts parts;
  if (!save.empty()) parts.callbacks.push_back(std::make_unique<SaveInMidEpoch>(save));
  parts.hyper_parameters = tensor::Value::dict();
  parts.hyper_parameters.set("num_labels", tensor::Value(std::int64_t{3}));
  Trainer trainer(quiet(2), scratch_directory(), std::move(parts));
  ToyTask task;
  task.optimize_with(toy_optimization());
  trainer.fit(task, loader, nullptr, resume);
  return task.weight().detach().clone();
}

/// Runs a script of tests/train/python. @return its exit status; -1 where Python has no torch
int run_python(const std::string& script, const std::string& arguments) {
  if (std::system("/usr/bin/python3 -c 'import torch' 2>/dev/null") != 0) return -1;
  const std::string command = std::string("/usr/bin/python3 ") + POLYPHONY_TEST_DIR +
                              "/train/python/" + script + " " + arguments;
  return std::system(command.c_str());
}

constexpr const char* kNoTorch = "no /usr/bin/python3 with torch: install Debian's python3-torch";

TEST(Checkpoint, LoadsWithPythonsTorchInLightningsLayout) {
  const fs::path path = scratch_directory() / "mid.ckpt";
  fit(path);
  const int status = run_python("check_lightning_layout.py", path.string());
  if (status == -1) GTEST_SKIP() << kNoTorch;
  EXPECT_EQ(status, 0);
}

TEST(Checkpoint, OneOfLightningsLayoutGoesOnHere) {
  const fs::path ours = scratch_directory() / "ours.ckpt";
  const fs::path theirs = scratch_directory() / "theirs.ckpt";
  const at::Tensor straight = fit(ours);
  const int status = run_python("as_lightning.py", ours.string() + " " + theirs.string());
  if (status == -1) GTEST_SKIP() << kNoTorch;
  ASSERT_EQ(status, 0);
  EXPECT_EQ(tensor::load_archive(theirs).find("polyphony"), nullptr);
  const at::Tensor resumed = fit({}, theirs);  // all but the random generator, which is not in it
  EXPECT_LT(at::sub(resumed, straight).abs().max().item<double>(), 0.2);
  const NamedTensors weights = load_state_dict(theirs);
  ASSERT_EQ(weights.size(), 2U);
  EXPECT_TRUE(at::equal(weights[0].second, load_state_dict(ours)[0].second));
}

/// The rows and the task of tests/train/python/make_lightning_checkpoints.py.
class FixtureRows : public ToyDataset {
 public:
  explicit FixtureRows(const tensor::Value& fixture)
      : ToyDataset(10), x_(fixture.at("x").as_tensor()), y_(fixture.at("y").as_tensor()) {}
  data::Item get(std::int64_t index) const override {
    data::Item item = ToyDataset::get(index);
    item.set("label", y_.select(0, index));
    return item;
  }
  data::Batch collate(std::span<const data::Item> items) const override {
    data::Batch batch = ToyDataset::collate(items);
    batch.set("x", x_.index_select(0, batch.at("row")));
    return batch;
  }

 private:
  at::Tensor x_;
  at::Tensor y_;
};

class WithoutDropout : public ToyTask {
 public:
  at::Tensor training_step(const data::Batch& batch, std::int64_t) override {
    const NamedTensors p = parameters();
    return at::cross_entropy_loss(at::linear(batch.at("x"), p[0].second, p[1].second),
                                  batch.at("label"));
  }
  void load_metric_state(const tensor::Value&) override {}
};

TEST(Checkpoint, OnesThatLightningWroteGoOnToItsOwnWeights) {
  const fs::path folder = fs::path(POLYPHONY_TEST_DIR) / "train" / "data";
  const tensor::Value fixture = tensor::load_archive(folder / "lightning_1.9.5_final.pt");
  const FixtureRows rows(fixture);
  for (const char* name : {"lightning_1.9.5_epoch_end.ckpt", "lightning_1.9.5_mid_epoch.ckpt"}) {
    data::Loader loader(rows, toy_loading(false));
    WithoutDropout task;
    task.optimize_with(toy_optimization());
    Trainer trainer(quiet(2), scratch_directory());
    trainer.fit(task, loader, nullptr, folder / name);
    EXPECT_EQ(trainer.global_step(), 4) << name;
    const at::Tensor& want = fixture.at("state_dict").at("weight").as_tensor();
    EXPECT_LT(at::sub(task.weight(), want).abs().max().item<double>(), 1e-6) << name;
  }
}

TEST(Checkpoint, WeightsAsSafetensors) {
  const fs::path whole = scratch_directory() / "whole.ckpt";
  const fs::path weights = scratch_directory() / "weights.safetensors";
  fit(whole);
  fit(weights);
  for (const auto& [name, tensor] : load_state_dict(weights)) {
    for (const auto& [other, expected] : load_state_dict(whole)) {
      if (name == other) {
        EXPECT_TRUE(at::equal(tensor, expected)) << name;
      }
    }
  }
  EXPECT_EQ(load_state_dict(weights).size(), 2U);
}

TEST(Checkpoint, ResumingFromADamagedFileIsAnErrorThatNamesIt) {
  const fs::path path = scratch_directory() / "damaged.ckpt";
  fit(path);
  const std::string whole = read_file(path);
  const auto error_of = [&](std::string bytes) -> std::string {
    write_file(path, bytes);
    try {
      fit({}, path);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of(whole.substr(0, whole.size() / 2)), HasSubstr("damaged.ckpt"));
  for (std::size_t at = 100; at < whole.size(); at += whole.size() / 40) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    const std::string error = error_of(flipped);
    // A bit in the padding between records changes nothing.
    if (error != "no error") {
      EXPECT_THAT(error, HasSubstr("damaged.ckpt")) << at;
    }
  }
}

TEST(Checkpoint, OneWithImpossibleNumbersIsAnErrorThatNamesThem) {
  const fs::path path = scratch_directory() / "whole.ckpt";
  const fs::path changed = scratch_directory() / "changed.ckpt";
  fit(path);
  const auto error_of = [&](const std::vector<std::string>& keys, tensor::Value number) {
    tensor::Value checkpoint = tensor::load_archive(path);
    const auto set = [&](const auto& self, const tensor::Value& at, std::size_t depth) {
      if (depth == keys.size()) return number;
      tensor::Value copy = tensor::Value::dict();
      for (const auto& [key, value] : at.entries()) {
        copy.set(key, key.as_string() == keys[depth] ? self(self, value, depth + 1) : value);
      }
      return copy;
    };
    tensor::save_archive(changed, set(set, checkpoint, 0));
    try {
      fit({}, changed);
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(error_of({"polyphony", "ranks"}, tensor::Value::list()), HasSubstr("ranks is empty"));
  for (const auto& [section, key, number] :
       std::vector<std::tuple<const char*, const char*, std::int64_t>>{
           {"position", "batch", -3},
           {"position", "point", 99},
           {"dealing", "world", 0},
           {"dealing", "batch_size", 0},
           {"epoch", "world", 0},
           {"epoch", "batch_size", -1},
           {"epoch", "taken", -5},
           {"epoch", "end", 1'000'000'000},
           {"epoch", "dealt", 100},
           {"threads", "kernels", 0}}) {
    EXPECT_THAT(error_of({"polyphony", section, key}, tensor::Value(number)),
                AllOf(HasSubstr(changed.string()), HasSubstr(fmt::format("{}.{}", section, key))));
  }
}

TEST(Checkpoint, WithoutOptimizerSaysHowItWasSaved) {
  const fs::path path = scratch_directory() / "weights_only.ckpt";
  tensor::Value checkpoint = tensor::Value::dict();
  tensor::Value state = tensor::Value::dict();
  for (const auto& [name, tensor] : ToyTask().state()) state.set(name, tensor::Value(tensor));
  checkpoint.set("state_dict", state);
  checkpoint.set("callbacks", tensor::Value::dict());
  tensor::save_archive(path, checkpoint);
  try {
    fit({}, path);
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("no 'optimizer_states'"));
    EXPECT_THAT(error.remedy(), HasSubstr("save_weights_only"));
  }
}

}  // namespace
}  // namespace polyphony::train
