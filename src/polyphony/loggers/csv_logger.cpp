#include <polyphony/loggers/csv_logger.h>

#include <polyphony/config/bind/registry.h>
#include <polyphony/loggers/version.h>
#include <polyphony/record/formats/csv_log.h>
#include <polyphony/record/version_directory.h>

namespace polyphony::loggers {

void CSVLoggerOptions::describe(config::Fields& f) {
  f.required("save_dir", save_dir, "directory of the logs");
  f("name", name, "directory of the experiment in it; empty: none");
  f("version", version, "number N of version_N, or a directory's name; null: the next number");
  f.check("version", is_version(version), "a number from 0, a name, or null");
  f("prefix", prefix, "put before every name, with '-'");
  f("flush_logs_every_n_steps", flush_logs_every_n_steps,
    "read for compatibility: rows are in the file after 0.25 s");
}

std::unique_ptr<record::Sink> CSVLogger::open(const record::RunInfo&) {
  return std::make_unique<record::CsvLog>(
      record::version_directory(options_.save_dir, options_.name, version_text(options_.version)),
      options_.prefix);
}

POLYPHONY_REGISTER(train::Logger, CSVLogger, "polyphony.loggers.CSVLogger",
                   "metrics.csv and hparams.yaml, as Lightning writes them")

}  // namespace polyphony::loggers
