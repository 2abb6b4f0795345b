#pragma once

#include <filesystem>
#include <string>

#include <polyphony/config/compose.h>

namespace polyphony::pipeline {

/// What the program asks of the tensor part, which it opens only for verbs that need LibTorch.
struct Request {
  std::string verb;  ///< "run", "train", "test", "predict", "vote", "list", "schema", "targets"
  config::Composition config;        ///< empty for "list" and "schema"
  std::filesystem::path output_dir;  ///< the run's directory, made by job::run_app
  std::string name;                  ///< class or kind for "list" and "schema"; may be empty
  std::string command_line;          ///< as typed, for the record
};

/// The symbol that the program looks up in the tensor part.
inline constexpr const char* kEntrySymbol = "polyphony_pipeline_entry";
using Entry = int (*)(const Request&);

}  // namespace polyphony::pipeline
