#include "runs_plot.h"

#include <clocale>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <polyphony/base/error.h>
#include <polyphony/base/terminal/terminal.h>
#include <polyphony/base/terminal/text_plot.h>
#include "runs_selection.h"
#include "whole_number.h"

namespace polyphony::app {
namespace {

struct PlotArguments {
  std::string metric;
  std::vector<std::int64_t> ids;  ///< empty: the selection
  std::string x = "step";
  double smoothing = 0;
  bool log = false;
  std::string marks = "auto";
  int width = 0;  ///< 0: the terminal's
  int height = 20;
};

/// Whether the environment says that text is UTF-8, as setlocale(3) reads it.
bool utf8_environment() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view text(value);
    return text.find("UTF-8") != std::string_view::npos ||
           text.find("utf8") != std::string_view::npos;
  }
  return false;
}

double place_of(const record::Metric& metric, const std::string& x, double started) {
  if (x == "epoch") return static_cast<double>(metric.epoch);
  if (x == "time") return metric.wall_time - started;
  return static_cast<double>(metric.step);
}

/// Exponential smoothing as TensorBoard does it, without the pull of the first value.
void smooth(Curve& curve, double weight) {
  double mean = 0, share = 0;
  for (auto& [x, y] : curve.points) {
    if (!std::isfinite(y)) continue;
    mean = mean * weight + y * (1 - weight);
    share = share * weight + (1 - weight);
    y = mean / share;
  }
}

std::vector<Curve> read_curves(const record::RunIndex& index, const record::RunList& runs,
                               const PlotArguments& arguments) {
  std::vector<Curve> curves;
  for (const record::IndexedRun* entry : runs) {
    const record::Run& run = entry->run;
    Curve curve{fmt::format("{} {}", run.id, run.name), {}};
    for (const record::Metric& metric : index.store().metrics(run.id, arguments.metric)) {
      curve.points.emplace_back(place_of(metric, arguments.x, run.started), metric.value);
    }
    if (arguments.smoothing > 0) smooth(curve, arguments.smoothing);
    curves.push_back(std::move(curve));
  }
  return curves;
}

TextPlotOptions plot_options(const PlotArguments& arguments, std::size_t curves) {
  const TerminalInfo terminal = terminal_info();
  TextPlotOptions options;
  options.width = arguments.width > 0 ? arguments.width : terminal.width;
  options.height = arguments.height;
  options.colours = terminal.colours;
  options.log_y = arguments.log;
  options.x_name = arguments.x == "time" ? "seconds" : arguments.x;
  const char* term = std::getenv("TERM");
  const bool dumb = term != nullptr && std::string_view(term) == "dumb";
  const bool braille = utf8_environment() && !dumb && (options.colours || curves < 2);
  options.marks = arguments.marks == "braille" || (arguments.marks == "auto" && braille)
                      ? PlotMarks::kBraille
                      : PlotMarks::kAscii;
  return options;
}

void plot(const RunSelection& selection, const PlotArguments& arguments) {
  const record::RunIndex index = open_index(selection);
  index.check_field("metric." + arguments.metric);
  record::RunList runs = selected_runs(index, selection, arguments.ids);
  std::erase_if(runs, [&](const record::IndexedRun* run) {
    return !run->metrics.contains(arguments.metric);
  });
  if (runs.empty()) {
    throw UsageError(fmt::format("none of these runs has the metric `{}`", arguments.metric),
                     "`polyphony runs show ID` lists a run's metrics");
  }
  constexpr std::size_t kMost = 8;  // more lines than that nobody tells apart
  const std::size_t left_out =
      runs.size() > kMost && arguments.ids.empty() ? runs.size() - kMost : 0;
  if (left_out > 0) runs.resize(kMost);
  fmt::print("{}\n{}", arguments.metric,
             plot_text(read_curves(index, runs, arguments), plot_options(arguments, runs.size())));
  if (left_out > 0) {
    fmt::print("  and {} more runs: name ids, or choose with --where, --sort and --limit\n",
               left_out);
  }
}

}  // namespace

void add_runs_plot(CLI::App& runs, const Selection& selection) {
  auto arguments = std::make_shared<PlotArguments>();
  CLI::App* command = runs.add_subcommand("plot", "a metric's curves, drawn in the terminal");
  add_run_verb(runs, *command, selection, {Options::kStore, Options::kChoice},
               [=] { plot(*selection, *arguments); });
  command->add_option("metric", arguments->metric, "the metric")->required();
  command->add_option("id", arguments->ids, "runs (the newest 8 that have it where absent)")
      ->transform(whole_number(0));
  command->add_option("-x,--x", arguments->x, "step, epoch or time")
      ->check(CLI::IsMember({"step", "epoch", "time"}));
  command->add_option("--smooth", arguments->smoothing, "exponential smoothing, 0 (none) to 0.999")
      ->check(CLI::Range(0.0, 0.999));
  command->add_flag("--log", arguments->log, "logarithmic y axis");
  command
      ->add_option("--marks", arguments->marks,
                   "braille or ascii (auto: what the terminal can show)")
      ->check(CLI::IsMember({"auto", "braille", "ascii"}));
  command->add_option("--width", arguments->width, "columns (those of the terminal)")
      ->transform(whole_number(40, 1000));
  command->add_option("--height", arguments->height, "lines of the plot")
      ->transform(whole_number(4, 200));
}

}  // namespace polyphony::app
