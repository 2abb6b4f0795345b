#include <polyphony/train/loops/resume_check.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/train/progress.h>

namespace polyphony::train {
namespace fs = std::filesystem;
using tensor::Value;

namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 4;  // sums stay whole
constexpr std::int64_t kMostProcesses = 1 << 20;
constexpr std::int64_t kMostRowsAStep = 1 << 30;
constexpr std::int64_t kMostThreads = 1 << 16;

class Check {
 public:
  Check(const Value& exact, const fs::path& path) : exact_(exact), path_(path) {}

  /// A number of a section, between its bounds.
  std::int64_t number(const char* section, const char* key, std::int64_t least, std::int64_t most) {
    const Value& value = exact_.at(section).at(key);
    const std::int64_t found = value.as_int();
    require(found >= least && found <= most, fmt::format("{}.{} is {}", section, key, found));
    return found;
  }
  void require(bool holds, const std::string& fact) const {
    if (holds) return;
    throw DataError(
        fmt::format("{}: the checkpoint is damaged: polyphony.{}", path_.string(), fact),
        "go on from another checkpoint of the run");
  }
  bool has(const char* section) const { return exact_.find(section) != nullptr; }

 private:
  const Value& exact_;
  const fs::path& path_;
};

void check_position(Check& check) {
  for (const char* key : {"epoch", "batch", "total_batches", "global_step", "batches_that_stepped",
                          "scheduler_steps", "zero_grads", "validations", "callbacks_done"}) {
    check.number("position", key, 0, kMost);
  }
  check.number("position", "point", 0, static_cast<std::int64_t>(Point::kStepDone));
}

void check_dealing(Check& check, std::int64_t ranks) {
  const std::int64_t world = check.number("dealing", "world", 1, kMostProcesses);
  check.require(world == ranks, fmt::format("dealing.world is {}, but ranks has {}", world, ranks));
  check.number("dealing", "batch_size", 1, kMostRowsAStep);
  check.number("dealing", "accumulate_grad_batches", 1, kMostRowsAStep);
}

void check_epoch(Check& check) {
  const std::int64_t step = check.number("epoch", "world", 1, kMostProcesses) *
                            check.number("epoch", "batch_size", 1, kMostRowsAStep);
  check.number("epoch", "length_buckets", 0, kMostRowsAStep);
  const std::int64_t rows = check.number("epoch", "rows", 0, kMost);
  check.number("epoch", "end", 0, rows + step);  // a last batch may be filled up
  const std::int64_t taken = check.number("epoch", "taken", 0, rows + step);
  const std::int64_t dealt = check.number("epoch", "dealt", 0, rows);
  check.require(taken + dealt <= rows + step,
                fmt::format("epoch: {} and {} rows are done of {}", taken, dealt, rows));
}

}  // namespace

void check_exact_state(const Value& exact, const fs::path& path) {
  Check check(exact, path);
  check_position(check);
  const std::int64_t ranks = std::ssize(exact.at("ranks").items());
  check.require(ranks >= 1, "ranks is empty");
  if (check.has("dealing")) check_dealing(check, ranks);
  if (check.has("epoch")) check_epoch(check);
  if (check.has("threads")) {
    check.number("threads", "kernels", 1, kMostThreads);
    check.number("threads", "blas", 1, kMostThreads);
  }
}

}  // namespace polyphony::train
