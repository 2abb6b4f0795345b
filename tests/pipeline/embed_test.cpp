#include <polyphony/pipeline/embed.h>

#include <filesystem>
#include <fstream>

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <scratch.h>

#include <polyphony/base/signals.h>
#include <polyphony/data/embedding_cache.h>
#include <polyphony/datasets/kemdy19.h>

#include "pipeline/invented_corpus.h"

namespace polyphony::pipeline {
namespace {

namespace fs = std::filesystem;

/// One of two processes, which the other does not wait for.
class OneOfTwo : public dist::Collective {
 public:
  explicit OneOfTwo(int rank) : rank_(rank) {}
  int rank() const override { return rank_; }
  int world_size() const override { return 2; }

 private:
  int rank_;
};

class Embedding : public testing::Test {
 protected:
  void SetUp() override {
    root_ = scratch_directory() / "embedding";
    fs::remove_all(root_);
    write_invented_corpus(root_ / "corpus");
    write_tiny_encoders(root_ / "encoders");
  }

  std::unique_ptr<data::Dataset> rows() const {
    datasets::KemdyMultimodalOptions options;
    options.place.data_path = (root_ / "corpus").string();
    options.pretrained_hubert = (root_ / "encoders/speech").string();
    options.pretrained_roberta = (root_ / "encoders/words").string();
    return std::make_unique<datasets::KEMDy19>(options);
  }

  EmbeddingsOptions options() const {
    EmbeddingsOptions options;
    options.directory = (root_ / "cache").string();
    return options;
  }

  fs::path root_;
};

TEST_F(Embedding, TwoProcessesComputeEveryRowWhicheverIsFirst) {
  for (const int first : {0, 1}) {
    fs::remove_all(root_ / "cache");
    std::unique_ptr<data::Dataset> embedded;
    for (const int rank : {first, 1 - first}) {
      OneOfTwo process(rank);
      embedded = Embedder(options(), process).embed(rows(), "train");
    }
    ASSERT_EQ(embedded->size(), 12);
    for (std::int64_t row = 0; row < 12; ++row) {
      const data::Item item = embedded->get(row);
      EXPECT_EQ(item.at("audio_hidden").size(1), 32) << "row " << row << ", first " << first;
      EXPECT_EQ(item.at("text_hidden").size(1), 32) << "row " << row << ", first " << first;
    }
  }
}

/// Each row's hidden states.
std::vector<at::Tensor> read_all(const data::Dataset& rows) {
  std::vector<at::Tensor> all;
  for (std::int64_t row = 0; row < rows.size(); ++row) {
    const data::Item item = rows.get(row);
    for (const char* name : {"audio_hidden", "text_hidden"}) all.push_back(item.at(name).clone());
  }
  return all;
}

void expect_equal(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
}

TEST_F(Embedding, WhatIsDamagedIsComputedAgainWheneverItIsMissed) {
  dist::Collective alone;
  const auto shard = [this] {
    for (const auto& file : fs::directory_iterator(root_ / "cache")) {
      if (file.path().extension() == ".safetensors") return file.path();
    }
    return fs::path();
  };
  const auto damage = [&](std::uintmax_t from_end) {
    std::fstream file(shard(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-static_cast<std::streamoff>(from_end), std::ios::end);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(-static_cast<std::streamoff>(from_end), std::ios::end);
    file.put(byte);
  };
  std::vector<at::Tensor> straight;
  {
    Embedder embedder(options(), alone);
    straight = read_all(*embedder.embed(rows(), "train"));
  }
  // Before the run: the file is read, its header is whole.
  damage(2);
  {
    Embedder embedder(options(), alone);
    testing::internal::CaptureStderr();
    const auto embedded = embedder.embed(rows(), "train");
    expect_equal(read_all(*embedded), straight);
    const std::string told = testing::internal::GetCapturedStderr();
    EXPECT_THAT(told, testing::HasSubstr("what is lost is computed again\n"));
    EXPECT_EQ(told.find("warning: "), told.rfind("warning: ")) << told;  // once, in one line
  }
  // While it runs: cut short, gone, and gone as a whole.
  Embedder embedder(options(), alone);
  const auto embedded = embedder.embed(rows(), "train");
  fs::resize_file(shard(), fs::file_size(shard()) / 2);
  expect_equal(read_all(*embedded), straight);
  fs::remove_all(root_ / "cache");
  expect_equal(read_all(*embedded), straight);
}

/// Rows that ask for a stop while one of them is embedded.
class StoppingRows : public data::Dataset, public data::Embeddable {
 public:
  StoppingRows(std::unique_ptr<data::Dataset> rows, std::int64_t at)
      : rows_(std::move(rows)),
        source_(dynamic_cast<const data::Embeddable*>(rows_.get())),
        at_(at) {}
  std::int64_t size() const override { return rows_->size(); }
  data::Item get(std::int64_t row) const override { return rows_->get(row); }
  const std::vector<std::string>& classes() const override { return rows_->classes(); }
  std::vector<std::int64_t> class_counts() const override { return rows_->class_counts(); }
  const CsvTable& table() const override { return rows_->table(); }
  std::vector<data::FrozenInput> frozen_inputs() const override { return source_->frozen_inputs(); }
  std::string content(const data::FrozenInput& input, std::int64_t row) const override {
    return source_->content(input, row);
  }
  at::Tensor encoder_input(const data::FrozenInput& input, std::int64_t row) const override {
    if (row == at_) StopSignals::request(SIGTERM);
    return source_->encoder_input(input, row);
  }
  data::Item bare_row(std::int64_t row) const override { return source_->bare_row(row); }

 private:
  std::unique_ptr<data::Dataset> rows_;
  const data::Embeddable* source_;
  std::int64_t at_;
};

TEST_F(Embedding, AStopKeepsWhatIsComputed) {
  dist::Collective alone;
  const StopSignals signals;
  try {
    Embedder(options(), alone).embed(std::make_unique<StoppingRows>(rows(), 7), "train");
    FAIL() << "not stopped";
  } catch (const Interrupted& stop) {
    EXPECT_EQ(stop.exit_code(), ExitCode::kTerminated);
    EXPECT_THAT(stop.what(), testing::HasSubstr("what is computed is kept"));
  }
  StopSignals::forget();
  testing::internal::CaptureStdout();
  Embedder(options(), alone).embed(rows(), "train");
  EXPECT_EQ(testing::internal::GetCapturedStdout().find("audio_hidden: 12 rows, 12 computed"),
            std::string::npos);
}

}  // namespace
}  // namespace polyphony::pipeline
