#pragma once

#include <optional>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/loggers/sink_logger.h>

namespace polyphony::loggers {

/// What to do if a local run of the same id exists.
enum class WandbResume { kAllow, kMust, kNever, kAuto };

/// A list of labels, or one alone.
struct WandbTags {
  std::vector<std::string> names;
};
bool read(const config::Node& node, WandbTags& tags);
std::string show(const WandbTags& tags);
inline const char* type_name(const WandbTags&) { return "list[str] or str"; }

struct WandbLoggerOptions {
  std::optional<std::string> name;
  std::optional<std::string> save_dir = ".";
  std::optional<std::string> dir;
  bool offline = false;
  std::optional<std::string> id;
  std::optional<std::string> version;
  std::optional<std::string> project = "lightning_logs";
  std::optional<std::string> entity;
  std::optional<std::string> group;
  std::optional<std::string> job_type;
  std::optional<std::string> notes;
  WandbTags tags;
  config::Node log_model = false;
  std::string prefix;
  std::optional<WandbResume> resume = WandbResume::kAllow;
  std::optional<bool> anonymous;

  void describe(config::Fields& f);
};

/// Lightning's WandbLogger: an offline run that `wandb sync` uploads. Nothing is sent from here.
class WandbLogger : public SinkLogger {
 public:
  using Options = WandbLoggerOptions;
  explicit WandbLogger(Options options) : options_(std::move(options)) {}
  /// @throws ConfigError if `resume` forbids the run
  std::unique_ptr<record::Sink> open(const record::RunInfo& run) override;

 private:
  Options options_;
};

}  // namespace polyphony::loggers

template <>
struct polyphony::config::EnumNames<polyphony::loggers::WandbResume> {
  static constexpr std::pair<const char*, polyphony::loggers::WandbResume> kTable[] = {
      {"allow", polyphony::loggers::WandbResume::kAllow},
      {"must", polyphony::loggers::WandbResume::kMust},
      {"never", polyphony::loggers::WandbResume::kNever},
      {"auto", polyphony::loggers::WandbResume::kAuto}};
};
