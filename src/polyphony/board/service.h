#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/board/curves.h>
#include <polyphony/board/predictions.h>
#include <polyphony/board/query.h>
#include <polyphony/record/run_index.h>

namespace polyphony::board {

/// What the page asks for, answered from one run store. Safe to call from any number of threads.
class Service {
 public:
  /// @throws IoError where there is no store
  explicit Service(const std::filesystem::path& store);

  /// The answer to /api/NAME: JSON, or what to_binary() of curves_encoding.h gives; nullopt for a
  /// name that is none.
  /// @throws UsageError for parameters that cannot be; DataError, IoError for files that cannot be
  ///         read
  std::optional<std::string> answer(const std::string& name, const Query& query);
  /// The recording of `row` of the prediction set `set` of `run`. @throws as audio_of()
  AudioFile audio(const Query& query);
  /// Reads what was written since. @return the runs that changed
  std::vector<std::int64_t> refresh();

  /// Names that answer() knows.
  static std::vector<std::string> names();

 private:
  struct Route;
  static const std::vector<Route>& routes();
  std::string table(const Query& query);
  std::string ids(const Query& query);
  std::string fields(const Query& query);
  std::string points(const Query& query);
  std::string run(const Query& query);
  std::string compare(const Query& query);
  std::string curves(const Query& query);
  std::string system(const Query& query);
  std::string console(const Query& query);
  std::string figures(const Query& query);
  std::string confusion(const Query& query);
  std::string items(const Query& query);

  const record::IndexedRun& indexed(std::int64_t id) const;
  std::vector<CurveRun> curve_runs(const Query& query) const;
  std::shared_ptr<const PredictionSet> predictions(const Query& query);

  std::mutex index_mutex_;  ///< guards index_
  record::RunIndex index_;
  std::mutex curves_mutex_;  ///< guards what follows: its own connection, for curves take longest
  record::Store store_;
  CurveCache cache_;
  std::mutex predictions_mutex_;
  /// The set read last, by run and name, with its file's time.
  struct Cached {
    std::string key;
    std::filesystem::file_time_type time;
    std::shared_ptr<const PredictionSet> set;
  };
  Cached cached_;
};

}  // namespace polyphony::board
