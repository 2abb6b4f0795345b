#pragma once

#include <string>
#include <vector>

#include <polyphony/job/app.h>
#include <polyphony/job/settings.h>

namespace polyphony::job {

// What the showing flags print, to standard output.

/// --cfg job|hydra|all, with --package and --resolve.
/// @throws ComposeError for a package that is not in the configuration
void show_config(Source& source, const Arguments& arguments);

/// --info all|config|defaults|defaults-tree|plugins|searchpath.
void show_info(Source& source, const std::string& kind, const std::vector<std::string>& overrides);

/// --help: the template hydra.help.template, filled in.
void show_help(const App& app, Source& source, const Arguments& arguments);
/// --hydra-help: the template hydra.hydra_help.template, filled in.
void show_hydra_help(const App& app, Source& source, const Arguments& arguments);

}  // namespace polyphony::job
