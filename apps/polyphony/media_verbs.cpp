#include "media_verbs.h"

#include "data.h"
#include "hub.h"
#include "resume.h"
#include "runs.h"
#include "tokenize.h"

using namespace polyphony::app;  // NOLINT(google-build-using-namespace)

// A C name, so that dlsym finds it.
extern "C" __attribute__((visibility("default")))
// NOLINTNEXTLINE(readability-identifier-naming)
const MediaVerbs polyphony_media_verbs = {add_resume_command, add_data_commands, add_hub_commands,
                                          add_runs_commands, add_tokenize_command};
