// Batches are padded to their longest row only: an encoder gives the same numbers as for rows that
// are padded to the model's limit, as the original pads them.
#include <filesystem>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <polyphony/config/bind/registry.h>
#include <polyphony/config/yaml/yaml.h>
#include <polyphony/data/dataset.h>
#include <polyphony/models/model.h>

#include "datasets/recordings.h"
#include "scratch.h"

namespace polyphony::datasets {
namespace {

namespace fs = std::filesystem;

const std::string kEncoders = std::string(POLYPHONY_SOURCE_DIR) + "/examples/tiny_encoders";

std::shared_ptr<models::Model> encoder(const std::string& name) {
  at::manual_seed(1);
  std::shared_ptr<models::Model> model = config::build<models::Model>(
      config::parse_yaml("_target_: polyphony.models.SequenceClassifier\npretrained_model: " +
                             kEncoders + "/" + name + "\nweights: random\nnum_labels: 3\n",
                         "test"),
      "model");
  model->eval();
  return model;
}

std::unique_ptr<data::Dataset> rows(const fs::path& folder, const std::string& name) {
  const std::string which = name == "hubert" ? "KEMDy19Audio" : "KEMDy19Text";
  return config::build<data::Dataset>(
      config::parse_yaml("_target_: polyphony.datasets." + which +
                             "\ndata_path: " + folder.string() +
                             "\npretrained_model: " + kEncoders + "/" + name + "\n",
                         "test"),
      "dataset");
}

fs::path corpus() {
  fs::path folder = scratch_directory() / "trimming";
  std::string table = "total_path,text,emotion\n";
  const std::vector<std::string> texts = {"word", "a b c word small", "big other word of a b c"};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string name = "tone" + std::to_string(i) + ".wav";
    write_tone(folder / name, static_cast<std::uint32_t>(4000 + 3700 * i));
    table += "./" + name + "," + texts[i] + "," + std::to_string(i) + "\n";
  }
  write_file(folder / "path_data/path_train.csv", std::string_view(table));
  return folder;
}

void expect_same(const std::string& name, const std::string& input, std::int64_t limit) {
  const auto dataset = rows(corpus(), name);
  std::vector<data::Item> items;
  std::int64_t longest = 0;
  for (std::int64_t i = 0; i < dataset->size(); ++i) {
    items.push_back(dataset->get(i));
    longest = std::max(longest, items.back().at(input).size(0));
  }
  const data::Batch trimmed = dataset->collate(items);
  ASSERT_EQ(trimmed.at(input).size(1), longest);
  const at::Tensor& values = trimmed.at(input);
  data::Batch padded = trimmed;
  padded.set(input, at::constant_pad_nd(values, {0, limit - longest}, 0));
  const auto model = encoder(name);
  const at::NoGradGuard no_grad;
  const at::Tensor small = model->forward(trimmed);
  const at::Tensor large = model->forward(padded);
  EXPECT_TRUE(at::isfinite(small).all().item<bool>());
  EXPECT_TRUE(at::allclose(small, large, 1e-5, 1e-6)) << small << large;
  for (std::int64_t i = 0; i < dataset->size(); ++i) {
    const data::Batch alone =
        dataset->collate(std::span(items).subspan(static_cast<std::size_t>(i), 1));
    EXPECT_TRUE(at::allclose(model->forward(alone)[0], small[i], 1e-5, 1e-6)) << i;
  }
}

TEST(Trimming, SpeechGivesTheSameNumbersAtAnyPadding) {
  expect_same("hubert", "input_values", 20000);
}
TEST(Trimming, TextGivesTheSameNumbersAtAnyPadding) { expect_same("bert", "input_ids", 48); }

}  // namespace
}  // namespace polyphony::datasets
