#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <polyphony/config/compose/compose.h>

namespace polyphony::pipeline {

/// That an earlier run goes on in its own directory: `polyphony resume`.
struct Continuation {
  bool wanted = false;
  std::filesystem::path checkpoint;  ///< the one that was named; empty: the furthest of the run
  bool finished = false;             ///< the store says that the run has ended as it should
  bool changed = false;              ///< options are given that it had not
  /// Called in the process that keeps the record, once the checkpoint is accepted.
  std::function<void()> accepted;
};

/// What the program asks of the tensor part, which it opens only for verbs that need LibTorch.
struct Request {
  /// "run", "train", "test", "predict", "vote", "list", "schema", "targets", "version"
  std::string verb;
  config::Composition config;        ///< empty for "list", "schema" and "version"
  std::filesystem::path output_dir;  ///< the run's directory, made by job::run_app
  std::string name;                  ///< class or kind for "list" and "schema"; may be empty
  std::string command_line;          ///< as typed, for the record
  Continuation continuation;
};

/// The symbol that the program looks up in the tensor part.
inline constexpr const char* kEntrySymbol = "polyphony_pipeline_entry";
using Entry = int (*)(const Request&);

}  // namespace polyphony::pipeline
