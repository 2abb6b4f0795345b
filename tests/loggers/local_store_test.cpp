// A run that is resumed takes the rows of the earlier one over, whatever a kill left at their end.
#include <polyphony/loggers/local_store.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <polyphony/base/files.h>
#include <polyphony/record/store_log.h>

#include "record/scratch_folder.h"

namespace polyphony::loggers {
namespace {

namespace fs = std::filesystem;
using record::Scratch;

/// The table of a run that was resumed from a state which counts so many rows of an earlier table.
std::string resumed(const std::string& earlier_table, std::int64_t rows) {
  const Scratch scratch;
  const fs::path earlier = scratch.path() / "earlier.csv";
  write_file(earlier, earlier_table);
  std::vector<std::unique_ptr<record::Sink>> sinks;
  auto csv = std::make_unique<record::RunCsvLog>(scratch.path(), "u");
  const fs::path table = csv->path();
  sinks.push_back(std::move(csv));
  record::Recorder recorder(std::move(sinks));
  LocalStore logger(recorder, table);
  tensor::Value state = tensor::Value::dict();
  state.set("metrics_csv", tensor::Value(earlier.string()));
  state.set("rows", tensor::Value(rows));
  logger.load_state_dict(state);
  logger.log_metrics({{"loss", 0.5}}, 9, 3);
  recorder.finish(record::State::kFinished, "");
  return fs::exists(table) ? read_file(table) : "";
}

TEST(LocalStore, TakesOverTheRowsThatTheCheckpointCounts) {
  const std::string whole = "epoch,step,loss,acc\n0,1,0.1,\n0,2,0.2,1\n1,3,nan,\n";
  EXPECT_EQ(resumed(whole, 2), "epoch,step,loss,acc\n0,1,0.1,\n0,2,0.2,1\n3,9,0.5,\n");
  EXPECT_EQ(resumed(whole, 3), "epoch,step,loss,acc\n0,1,0.1,\n0,2,0.2,1\n1,3,nan,\n3,9,0.5,\n");
}

TEST(LocalStore, ATornOrDamagedTableStopsNoResume) {
  const std::string begin = "epoch,step,loss\n0,1,0.1\n0,2,0.2\n";
  const std::string end = "3,9,0.5\n";
  for (const std::string& torn :
       {std::string("0"), std::string("0,3,0.1"), std::string("0,3,\"x\ny"),
        std::string("0,\0\0\0\0", 6), std::string("\0\0", 2)}) {
    EXPECT_EQ(resumed(begin + torn, 2), begin + end);
    EXPECT_EQ(resumed(begin + torn, 7), begin + end);
  }
  // A damaged row in the middle keeps its place: the checkpoint counts it.
  EXPECT_EQ(resumed("epoch,step,loss\n0,1,0.1\n0,20,2,7\n0,3,0.3\n", 2),
            "epoch,step,loss\n0,1,0.1\n" + end);
  for (const std::string& nothing :
       {std::string(), std::string("epo"), std::string("\0\0", 2), std::string("a,b\n1,2\n")}) {
    EXPECT_EQ(resumed(nothing, 2), "epoch,step,loss\n" + end);
  }
}

TEST(LocalStore, InItsOwnDirectoryCountsTheRowsThatAreThere) {
  const Scratch scratch;
  write_file(scratch.path() / "metrics.csv", "epoch,step,loss\n0,1,0.1\n0,2,0.2\n0,3,0.");
  std::vector<std::unique_ptr<record::Sink>> sinks;
  sinks.push_back(std::make_unique<record::RunCsvLog>(scratch.path(), "u"));
  record::Recorder recorder(std::move(sinks));
  const fs::path table = scratch.path() / "metrics.csv";
  LocalStore logger(recorder, table);
  tensor::Value state = tensor::Value::dict();
  state.set("metrics_csv", tensor::Value((scratch.path() / "." / "metrics.csv").string()));
  state.set("rows", tensor::Value(std::int64_t{1}));
  logger.load_state_dict(state);
  logger.log_metrics({{"loss", 0.5}}, 2, 0);
  EXPECT_EQ(logger.state_dict().at("rows").as_int(), 3);
  recorder.finish(record::State::kFinished, "");
  EXPECT_EQ(read_file(table), "epoch,step,loss\n0,1,0.1\n0,2,0.2\n0,2,0.5\n");
}

}  // namespace
}  // namespace polyphony::loggers
