#pragma once

#include <filesystem>

#include <polyphony/base/directory_lock.h>
#include <polyphony/record/formats/append_table.h>
#include <polyphony/record/sink.h>

namespace polyphony::record {

/// What Lightning's CSVLogger leaves: metrics.csv (a column for each name in order of appearance,
/// "epoch" and "step" behind those of the first row, CRLF, floats as Python's repr) and
/// hparams.yaml.
class CsvLog : public Sink {
 public:
  /// @param directory  made where absent; @param prefix  put before names, with "-"; may be empty
  /// @throws IoError where it cannot be made, or another process that is alive writes there
  CsvLog(const std::filesystem::path& directory, std::string prefix);
  std::string name() const override { return "CSVLogger"; }
  void log(const Row& row) override;
  void log_hyper_parameters(const config::Node& values) override;
  void flush() override { table_.flush(); }
  void finish(State, const std::string&) override { flush(); }

 private:
  DirectoryLock lock_;
  std::string prefix_;
  AppendTable table_;
};

}  // namespace polyphony::record
