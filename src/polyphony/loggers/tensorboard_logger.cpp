#include <polyphony/loggers/tensorboard_logger.h>

#include <polyphony/config/bind/registry.h>
#include <polyphony/loggers/version.h>
#include <polyphony/record/formats/tensorboard_log.h>
#include <polyphony/record/version_directory.h>

namespace polyphony::loggers {

void TensorBoardLoggerOptions::describe(config::Fields& f) {
  f.required("save_dir", save_dir, "directory of the logs");
  f("name", name, "directory of the experiment in it; null or empty: none");
  f("version", version, "number N of version_N, or a directory's name; null: the next number");
  f.check("version", is_version(version), "a number from 0, a name, or null");
  f("log_graph", log_graph, "the model's graph; there is none to log here");
  f.check("log_graph", !log_graph, "false: a model in C++ has no graph to trace");
  f("default_hp_metric", default_hp_metric, "log hp_metric=-1, so that HPARAMS shows the run");
  f("prefix", prefix, "put before every tag, with '-'");
  f("sub_dir", sub_dir, "directory of the event file inside the version's");
}

std::unique_ptr<record::Sink> TensorBoardLogger::open(const record::RunInfo& run) {
  record::TensorBoardOptions options;
  options.directory = record::version_directory(options_.save_dir, options_.name.value_or(""),
                                                version_text(options_.version));
  if (options_.sub_dir) options.directory /= *options_.sub_dir;
  options.prefix = options_.prefix;
  options.default_hp_metric = options_.default_hp_metric;
  return std::make_unique<record::TensorBoardLog>(std::move(options), run);
}

POLYPHONY_REGISTER(train::Logger, TensorBoardLogger, "polyphony.loggers.TensorBoardLogger",
                   "an event file that TensorBoard opens")

}  // namespace polyphony::loggers
