// Rows of several classes through the whole program, by a YAML as a user writes it.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <polyphony/base/csv.h>
#include <polyphony/base/npy.h>

#include "app/program.h"
#include "scratch.h"

namespace polyphony {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> kTopics = {"fish", "boat", "moon"};

/// The classes of row `i`: the bits of its number.
std::string labels_of(int i) {
  std::string names;
  for (std::size_t c = 0; c < kTopics.size(); ++c) {
    if ((i >> c & 1) != 0) names += (names.empty() ? "" : ";") + kTopics[c];
  }
  return names.empty() ? ";" : names;
}

/// Texts that name their topics, in topics.csv, and a user's experiment on them.
fs::path write_experiment(const std::string& name) {
  const fs::path folder = scratch_directory() / name;
  fs::remove_all(folder);
  fs::create_directories(folder / "experiment");
  std::ofstream manifest(folder / "topics.csv");
  manifest << "text,topics,split\n";
  for (int i = 0; i < 64; ++i) {
    std::string text = "a text of";
    for (std::size_t c = 0; c < kTopics.size(); ++c) {
      if ((i >> c & 1) != 0) text += " " + kTopics[c];
    }
    manifest << text << " and so on," << labels_of(i) << ','
             << (i < 40   ? "train"
                 : i < 48 ? "val"
                          : "test")
             << '\n';
  }
  std::ofstream(folder / "experiment/topics.yaml") << R"(# @package _global_
defaults:
  - override /dataset: fillets
  - override /task: text
  - override /metrics@task.metrics: multilabel

run_name: topics
num_labels: 3
epochs: 12
lr: 2e-2
ngram_buckets: 4096
monitor: val_MultilabelF1Score
dataset:
  manifest: topics.csv
  label_column: topics
  label_separator: ";"
  multi_label: true
  classes: [fish, boat, moon]
  inputs: [ngrams]
task:
  multi_label: true
  class_weights: [1.0, 2.0, 1.0]
  pos_weight: balanced
callbacks:
  early_stopping: null
)";
  return folder;
}

std::vector<std::string> arguments(const std::string& verb, const fs::path& folder,
                                   const std::vector<std::string>& more) {
  std::vector<std::string> all = {
      verb,           "--config-path", std::string(POLYPHONY_SOURCE_DIR) + "/configs",
      "--config-dir", folder.string(), "experiment=topics",
      "num_threads=1"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TEST(MultiLabel, TrainsTestsAndPredicts) {
  const fs::path folder = write_experiment("topics");
  const Finished trained = run_program(folder, arguments("train", folder, {"hydra.run.dir=run"}));
  ASSERT_EQ(trained.exit_code, 0) << trained.err << trained.out;
  EXPECT_THAT(trained.out, HasSubstr("test_MultilabelF1Score   1.0000"));
  EXPECT_EQ(load_npy(folder / "run/predictions/test.npy").shape,
            (std::vector<std::int64_t>{16, 3}));
  const CsvTable table = read_csv(folder / "run/predictions/test.csv");
  ASSERT_EQ(table.header, (std::vector<std::string>{"text", "topics", "split", "prediction"}));
  for (const auto& row : table.rows) EXPECT_EQ(row[3], row[1]) << row[0];

  const Finished tested =
      run_program(folder, arguments("test", folder, {"ckpt_path=run", "hydra.run.dir=test"}));
  ASSERT_EQ(tested.exit_code, 0) << tested.err;
  EXPECT_THAT(tested.out, HasSubstr("test_MultilabelAccuracy  1.0000"));

  std::ofstream(folder / "new.csv")
      << "text,split\na text of moon boat and so on,test\na text of and so on,test\n";
  const Finished predicted = run_program(
      folder, arguments("predict", folder,
                        {"ckpt_path=run", "hydra.run.dir=predict", "dataset.manifest=new.csv"}));
  ASSERT_EQ(predicted.exit_code, 0) << predicted.err;
  const CsvTable answers = read_csv(folder / "predict/predictions/predictions.csv");
  EXPECT_EQ(answers.rows[0].back(), "boat;moon");
  EXPECT_EQ(answers.rows[1].back(), ";");
}

TEST(MultiLabel, RefusesMetricsAndWeightsThatDoNotFit) {
  const fs::path folder = write_experiment("topics_wrong");
  const Finished metrics =
      run_program(folder, arguments("train", folder, {"metrics@task.metrics=classification"}));
  EXPECT_EQ(metrics.exit_code, 1) << metrics.err;
  EXPECT_THAT(metrics.err, HasSubstr("task.metrics do not fit 3 classes of which a row has any "
                                     "number"));
  EXPECT_THAT(metrics.err, HasSubstr("MultilabelF1Score"));
  const Finished weights =
      run_program(folder, arguments("train", folder, {"task.class_weights=[1,2]"}));
  EXPECT_EQ(weights.exit_code, 1);
  EXPECT_THAT(weights.err, HasSubstr("task.class_weights: 2 weights for 3 classes"));
  const Finished single =
      run_program(folder, arguments("train", folder, {"dataset.multi_label=false"}));
  EXPECT_EQ(single.exit_code, 3);
  EXPECT_THAT(single.err, HasSubstr("dataset.multi_label reads several of a row"));
}

}  // namespace
}  // namespace polyphony
