#include <polyphony/pipeline/embed.h>

#include <filesystem>

#include <gmock/gmock.h>
#include <scratch.h>

#include <polyphony/data/embedding_cache.h>
#include <polyphony/datasets/kemdy19.h>

#include "pipeline/invented_corpus.h"

namespace polyphony::pipeline {
namespace {

namespace fs = std::filesystem;

/// One of two processes, which the other does not wait for.
class OneOfTwo : public train::Strategy {
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

}  // namespace
}  // namespace polyphony::pipeline
