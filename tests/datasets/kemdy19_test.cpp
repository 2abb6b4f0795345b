#include <polyphony/datasets/kemdy19.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/config/yaml/yaml.h>

#include "datasets/recordings.h"
#include "scratch.h"

namespace polyphony::datasets {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kEncoders = std::string(POLYPHONY_SOURCE_DIR) + "/examples/tiny_encoders";

std::string complaint(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_FALSE(error.remedy().empty());
    return error.what();
  }
  return "no error";
}

/// ROOT/path_data and ROOT/K/wav: the invented table of tests/tensor/frames, three rows of which
/// one has no text.
class Kemdy : public testing::Test {
 protected:
  void SetUp() override {
    root_ = scratch_directory() / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(root_);
    fs::create_directories(root_ / "path_data");
    write_tone(root_ / "K/wav/a.wav", 6000);
    write_tone(root_ / "K/wav/b.wav", 3000);
    write_tone(root_ / "K/wav/c.wav", 9000);
  }
  void with_pickle(const std::string& name, const std::string& as) {
    fs::copy_file(fs::path(POLYPHONY_TEST_DIR) / "tensor/frames" / (name + ".pkl"),
                  root_ / "path_data" / as);
  }
  void with_csv(const std::string& text, const std::string& as) {
    write_file(root_ / "path_data" / as, std::string_view(text));
  }
  KemdyRows rows(const std::string& split, std::int64_t labels = 7) {
    KemdyPlace place;
    place.data_path = root_.string();
    place.split = split;
    return read_kemdy_rows(place, labels);
  }
  /// A dataset of today's tree of the original, in its own words.
  std::unique_ptr<data::Dataset> build(const std::string& file, const std::string& more) {
    return config::build<data::Dataset>(
        config::parse_yaml("_target_: src.datasets." + file +
                               ".KEMDy19Dataset\ndata_path: " + root_.string() +
                               "\nsplit: train\ntarget_column_name: emotion\n" + more,
                           "test"),
        "dataset");
  }

  fs::path root_;
};

TEST_F(Kemdy, ReadsThePicklesAndLeavesOutRowsWithAMissingCell) {
  with_pickle("protocol4", "path_train.pkl");
  with_pickle("protocol5", "path_test.pkl");
  const KemdyRows train = rows("train");
  ASSERT_EQ(train.rows.size(), 2U);
  EXPECT_EQ(train.left_out, 1U);
  EXPECT_EQ(train.rows[0].audio, root_ / "K/wav/a.wav");
  EXPECT_EQ(train.rows[0].text, "n/ 안녕.\n");
  EXPECT_EQ(train.rows[0].label, 4);
  EXPECT_EQ(train.rows[1].label, 6);
  EXPECT_THAT(train.table.header, ElementsAre("total_path", "text", "emotion"));
  EXPECT_THAT(train.table.rows[1], ElementsAre("./K/wav/c.wav", "b/ ok, \"so\"", "6"));
  EXPECT_EQ(rows("predict").source, (root_ / "path_data/path_test.pkl").string());
}

TEST_F(Kemdy, ReadsTheSameTableAsCsv) {
  const std::string table =
      "total_path,text,emotion\n./K/wav/a.wav,\"n/ 안녕.\n\",4\n./K/wav/b.wav,,0\n"
      "./K/wav/c.wav,\"b/ ok, \"\"so\"\"\",6\n";
  with_pickle("protocol4", "path_val.pkl");
  with_csv("\xEF\xBB\xBF" + table, "path_train.csv");
  EXPECT_EQ(rows("train").table.rows, rows("val").table.rows);
  EXPECT_EQ(rows("train").left_out, 1U);
}

TEST_F(Kemdy, OneTableWithSplitsServesAll) {
  with_csv("total_path,text,emotion,split\n./K/wav/a.wav,x,1,train\n./K/wav/b.wav,y,2,test\n",
           "path_data.csv");
  EXPECT_EQ(rows("train").rows[0].label, 1);
  EXPECT_EQ(rows("predict").rows[0].label, 2);
  EXPECT_THAT(complaint([&] { rows("val"); }), HasSubstr("no row is whole"));
}

TEST_F(Kemdy, JanuarysPathsNameAFileAndFindTheRecordings) {
  with_pickle("protocol4", "path_train.pkl");
  KemdyPlace place;
  place.data_path = (root_ / "path_data/path_train.pkl").string();
  EXPECT_EQ(read_kemdy_rows(place, 7).rows[1].audio, root_ / "K/wav/c.wav");
  place.audio_root = "/elsewhere";
  EXPECT_EQ(read_kemdy_rows(place, 7).rows[1].audio, "/elsewhere/K/wav/c.wav");
}

TEST_F(Kemdy, NamesWhatIsWrong) {
  EXPECT_THAT(complaint([&] { rows("train"); }), HasSubstr("neither path_data/path_train.pkl"));
  with_pickle("protocol4", "path_train.pkl");
  EXPECT_THAT(complaint([&] { rows("train", 5); }),
              HasSubstr("path_train.pkl: row 3: label '6' is out of range"));
  KemdyPlace place;
  place.data_path = root_.string();
  place.target_column_name = "emotio";
  EXPECT_THAT(complaint([&] { read_kemdy_rows(place, 7); }),
              testing::AllOf(HasSubstr("no column 'emotio'"), HasSubstr("nearest: emotion")));
  place.data_path = "/nowhere";
  EXPECT_THAT(complaint([&] { read_kemdy_rows(place, 7); }), HasSubstr("no such folder or file"));
}

TEST_F(Kemdy, TheOriginalsConfigurationsBuildThem) {
  with_pickle("protocol4", "path_train.pkl");
  const auto audio = build("audio_dataset", "pretrained_model: " + kEncoders + "/hubert\n");
  EXPECT_EQ(audio->get(0).at("input_values").size(0), 6000);
  EXPECT_EQ(audio->lengths(), (std::vector<std::int64_t>{375, 563}));
  const auto text =
      build("text_dataset", "pretrained_model: " + kEncoders + "/bert\ntext_max_length: 6\n");
  EXPECT_LE(text->get(1).at("input_ids").size(0), 6);
  const auto both = build("multimodal_dataset",
                          "num_devices: 2\nbatch_size: 32\npretrained_hubert: " + kEncoders +
                              "/hubert\npretrained_roberta: " + kEncoders +
                              "/bert\naudio_max_length: 4000\ntext_max_length: 249\nnum_labels: 7\n"
                              "audio_conv_kernel: [10, 3, 3, 3, 3, 2, 2]\n"
                              "audio_conv_stride: [5, 2, 2, 2, 2, 2, 2]\ndevice: cuda\n");
  EXPECT_EQ(both->size(), 2);
  const data::Item item = both->get(1);
  EXPECT_EQ(item.at("input_values").size(0), 4000);
  EXPECT_EQ(item.at("label").item<std::int64_t>(), 6);
  EXPECT_EQ(both->class_counts(), (std::vector<std::int64_t>{0, 0, 0, 0, 1, 0, 1}));
  const auto* frozen = dynamic_cast<const data::Embeddable*>(both.get());
  ASSERT_NE(frozen, nullptr);
  const auto inputs = frozen->frozen_inputs();
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].output, "audio_hidden");
  EXPECT_TRUE(frozen->encoder_input(inputs[1], 0).equal(text->get(0).at("input_ids")));
}

TEST_F(Kemdy, OneNameForEachLabel) {
  with_pickle("protocol4", "path_train.pkl");
  EXPECT_THAT(complaint([&] {
                build("audio_dataset",
                      "pretrained_model: " + kEncoders + "/hubert\nclasses: [a, b]\n");
              }),
              HasSubstr("2 names for num_labels=7"));
}

TEST(KemdyFiles, TheAuthorsSplitsHaveTheRowsTheyShould) {
  const char* given = std::getenv("KEMDY19_DIR");
  const fs::path folder = given != nullptr ? given : "/work/shared/data/kemdy19";
  if (!fs::exists(folder / "path_train.csv")) {
    GTEST_SKIP() << "no path_train.csv in " << folder << " (licensed; set KEMDY19_DIR)";
  }
  KemdyPlace place;
  place.data_path = folder.string();
  for (const auto& [split, usable, missing] :
       {std::tuple("train", 6575, 3), {"val", 1644, 1}, {"predict", 2055, 1}}) {
    place.split = split;
    const KemdyRows read = read_kemdy_rows(place, 7);
    EXPECT_EQ(std::ssize(read.rows), usable) << split;
    EXPECT_EQ(std::ssize(read.rows) + static_cast<long>(read.left_out), usable + missing) << split;
  }
}

}  // namespace
}  // namespace polyphony::datasets
