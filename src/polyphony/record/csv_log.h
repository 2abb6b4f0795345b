#pragma once

#include <filesystem>
#include <memory>

#include <polyphony/record/append_file.h>
#include <polyphony/record/sink.h>

namespace polyphony::record {

/// What Lightning's CSVLogger leaves: metrics.csv (a column for each name in order of appearance,
/// "epoch" and "step" behind those of the first row, CRLF, floats as Python's repr) and
/// hparams.yaml. Rows are appended; one with a new name writes the file anew, whole or not at all.
class CsvLog : public Sink {
 public:
  /// @param directory  made where absent; @param prefix  put before names, with "-"; may be empty
  CsvLog(const std::filesystem::path& directory, std::string prefix);
  std::string name() const override { return "CSVLogger"; }
  void log(const Row& row) override;
  void log_hyper_parameters(const config::Node& values) override;
  void flush() override;
  void finish(State, const std::string&) override { flush(); }

 private:
  std::filesystem::path path_;
  std::string prefix_;
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;  ///< not yet in the file
  bool rewrite_ = true;                         ///< the header has grown since the file was written
  std::unique_ptr<AppendFile> out_;
};

}  // namespace polyphony::record
