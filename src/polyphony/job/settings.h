#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/config/compose/compose.h>
#include <polyphony/config/compose/provenance.h>
#include <polyphony/config/compose/repository.h>
#include <polyphony/config/interpolate/interpolate.h>
#include <polyphony/job/app.h>

namespace polyphony::job {

enum class RunMode { kRun, kMultirun };

/// Where an App's configurations come from, after the flags have had their say. Files are read
/// once.
class Source {
 public:
  /// What becomes of a composition's warnings: printed once each, or dropped.
  enum class Warnings { kPrinted, kDropped };

  /// @throws ComposeError for a directory that is not there, or a file given as --config-path
  Source(const App& app, const Arguments& arguments, Warnings warnings = Warnings::kPrinted);

  /// Composes with the hydra node filled in as Hydra does before a job runs.
  /// In kMultirun the swept keys keep their values of the files. @throws ComposeError
  config::Composition load(const std::vector<std::string>& overrides, RunMode mode);
  /// The same in kRun. @param provenance  gets who wrote each value
  config::Composition load_run(const std::vector<std::string>& overrides,
                               config::Provenance& provenance);
  /// As load without the primary configuration, as --hydra-help wants it.
  config::Composition load_hydra_only(const std::vector<std::string>& overrides);
  config::Composition compose(const config::ComposeRequest& request);

  config::ComposeRequest request(const std::vector<std::string>& overrides) const;
  config::Repository& repository() { return repository_; }
  /// False where neither the program nor the command line said a version_base.
  bool version_base_said() const { return said_; }

 private:
  config::ComposeRequest base_;
  Warnings warnings_;
  std::set<std::string> warned_;
  config::Repository repository_;
  bool said_;
};

/// A hydra node's settings with their interpolations replaced, each when it is asked for.
class Settings {
 public:
  explicit Settings(const config::Composition& composition);

  /// The value at a path below `hydra`; null where absent or missing. @throws ComposeError
  config::Node get(std::string_view path) const;
  /// get() as text; "" where null.
  std::string text(std::string_view path) const;

  /// The whole configuration, "hydra" included; unresolved.
  const config::Node& root() const { return root_; }
  const config::ResolveContext& context() const { return context_; }

 private:
  config::Node root_;
  config::ResolveContext context_;
};

/// A list of strings as a node, and back.
config::Node list_of(const std::vector<std::string>& texts);
std::vector<std::string> texts_of(const config::Node& list);

}  // namespace polyphony::job
