#include <polyphony/callbacks/model_summary.h>

#include <polyphony/base/notice.h>
#include <polyphony/config/bind/registry.h>
#include <polyphony/train/trainer.h>

namespace polyphony::callbacks {

void ModelSummaryOptions::describe(config::Fields& f) {
  f("max_depth", max_depth, "levels of modules to print; -1: all, 0: none");
  f.check("max_depth", max_depth >= -1, "at least -1");
}

void ModelSummary::on_fit_start(train::Trainer& trainer) {
  if (options_.max_depth == 0 || !trainer.is_global_zero()) return;
  notify(Notice::kInfo, trainer.task().summary(options_.max_depth));
}

POLYPHONY_REGISTER(train::Callback, ModelSummary, "polyphony.callbacks.ModelSummary",
                   "prints the model's modules and parameter counts before a fit")

}  // namespace polyphony::callbacks
