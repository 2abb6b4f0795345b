#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <polyphony/record/sink.h>

namespace polyphony::record {

/// What is done to every sink, on the recorder's thread.
using Action = std::function<void(Sink&)>;
/// Prepares an action on the recorder's thread; nullopt where there is nothing to record.
using Source = std::function<std::optional<Action>()>;

struct RecorderOptions {
  /// Values that may wait for the disk, about 100 bytes each. Beyond that the rows that wait are
  /// thinned, see Recorder.
  std::size_t most_values = 500'000;
  double flush_seconds = 0.25;  ///< what was logged is with the system after so long
  double source_seconds = 1.0;  ///< how often the sources are asked
  double retry_seconds = 0.5;   ///< until a sink that threw is tried again; each time twice as long
};

/// Hands what a run logs to its sinks, on a thread of its own: the training thread puts a row in a
/// queue and goes on. A sink that throws (its disk is full, say) is told once and tried again, at
/// last after half a minute each time; what it is to record waits in its order. The others, and the
/// run, go on. finish() tries a last time and tells how many values a sink has not got.
///
/// Where the disk stands still, or a sink cannot be written, the queue is bounded: of rows with the
/// same names, every second one that waits is left out, the newest never, so that curves keep their
/// shape at half the points; as often as it takes. Rows of other names (a validation among training
/// steps) are kept while they are few. finish() tells how many values were left out.
class Recorder {
 public:
  Recorder(std::vector<std::unique_ptr<Sink>> sinks, RecorderOptions options = {});
  /// Finishes as interrupted where finish() was not called.
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// Never waits for a disk.
  void log(Row row);
  /// The same for anything else, in its order among the rows.
  void post(Action action);
  /// The same with its preparation (reading a file, say) on the recorder's thread.
  void prepare(Source source);
  /// Asked each `source_seconds`, and a last time before the end.
  void add_source(Source source);

  /// Waits until all that was logged is with the system. @return false where that takes longer
  bool flush(double seconds);
  /// Ends the record: waits for the thread, so long at most; one that hangs in the system is left
  /// behind. @return false then
  bool finish(State state, const std::string& error, double seconds = 60);

  /// Values left out so far.
  std::int64_t left_out() const;

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace polyphony::record
